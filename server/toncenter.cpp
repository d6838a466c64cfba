#include "server/toncenter.hpp"

#include <algorithm>
#include <charconv>
#include <thread>

#include "core/log.hpp"
#include "server/toncenter_codec.hpp"

namespace cocoon::server {
namespace {

namespace ton = settlement::ton;

constexpr int network_parameter = 19;
constexpr std::size_t page_max = 100;
constexpr Duration rate_patience = seconds(2);    // waits so long for an endpoint's rate
constexpr Duration asked_pause_max = minutes(5);  // of what an endpoint may ask for

constexpr std::string_view name_of(std::size_t method) {
    constexpr std::string_view names[] = {"getAddressInformation", "getTransactions",
                                          "getConfigParam", "sendBoc", "message"};
    return names[method];
}

std::string percent_encoded(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '+') {
            out += "%2B";
        } else if (c == '/') {
            out += "%2F";
        } else if (c == '=') {
            out += "%3D";
        } else if (c == ':') {
            out += "%3A";
        } else {
            out += c;
        }
    }
    return out;
}

Error failed(std::string why) { return refuse(ErrorCode::upstream_failed, std::move(why)); }

// Retry-After in seconds (RFC 9110, 10.2.3); zero for none or a date.
Duration retry_after(const net::ClientResponse& response) {
    const std::string_view text = response.headers.get("Retry-After");
    std::uint32_t count = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (failure != std::errc{} || end != text.data() + text.size()) return {};
    return std::min(seconds(count), asked_pause_max);
}

}  // namespace

Toncenter::Toncenter(ToncenterOptions options, net::HttpClient& client, const Clock& clock,
                     Metrics& metrics)
    : options_{std::move(options)},
      client_{client},
      clock_{clock},
      metrics_{metrics},
      failover_{options_.endpoints.size(), methods},
      rate_{{options_.calls_per_second, seconds(1)}},
      network_known_(options_.endpoints.size()),
      asked_pause_(options_.endpoints.size()),
      chance_{options_.seed} {}

void Toncenter::stop() { cancel_.cancel(); }

// SplitMix64: jitter needs no secret.
std::uint64_t Toncenter::chance() {
    std::uint64_t mixed = chance_ += 0x9E3779B97F4A7C15ull;
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9ull;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBull;
    return mixed ^ (mixed >> 31);
}

// One call, at the endpoint's rate. A value is any answer that is not "busy" or "down".
Result<net::ClientResponse> Toncenter::call(std::size_t endpoint, Method method,
                                            net::ClientRequest request) {
    const TonEndpoint& at = options_.endpoints[endpoint];
    asked_pause_[endpoint] = {};
    for (Duration waited;;) {
        if (cancel_.cancelled()) return failed("stopping");
        const RateAnswer allowed = rate_.take(endpoint, clock_.now());
        if (allowed.allowed) break;
        if (waited >= rate_patience) return failed("its rate is used up");
        const Duration pause = std::clamp(allowed.retry_after, milliseconds(1), milliseconds(100));
        std::this_thread::sleep_for(std::chrono::microseconds{pause.us});
        waited = waited + pause;
    }
    request.url = at.url + request.url;
    request.total_timeout = options_.call_timeout;
    request.response_bytes_max = toncenter::answer_bytes_max;
    if (!at.key.empty()) request.headers.add("X-API-Key", at.key);
    metrics_.chain_calls.add();
    auto response = client_.send(request, &cancel_);
    if (!response)
        return failed("cannot be reached (" + std::string{describe(response.error().code).name} +
                      ")");
    const int status = response->status;
    const bool sends = method == Method::send_v2 || method == Method::send_v3;
    if (status == 200 || (sends && status != 429)) return response;  // a refusal has its reasons
    asked_pause_[endpoint] = retry_after(*response);
    return failed("answered " + std::to_string(status));
}

void Toncenter::note_failure(std::size_t endpoint, Method method, const Error& error) {
    if (cancel_.cancelled()) return;
    metrics_.chain_endpoint_failures.add();
    const auto number = static_cast<std::size_t>(method);
    failover_.failed(endpoint, number, clock_.now(), chance(), asked_pause_[endpoint]);
    log::warning("chain_endpoint_failed", {{"endpoint", options_.endpoints[endpoint].url},
                                           {"method", name_of(number)},
                                           {"why", error.detail}});
}

template <class T>
Result<T> Toncenter::first_good(Method method, const std::function<Result<T>(std::size_t)>& ask) {
    const auto number = static_cast<std::size_t>(method);
    std::string why = "every endpoint is being left alone after failures";
    for (const std::size_t endpoint : failover_.candidates(number, clock_.now())) {
        Result<T> answer = check_network(endpoint)
                               ? ask(endpoint)
                               : Result<T>{failed("does not show that it is of this network")};
        if (answer || answer.error().code == ErrorCode::wrong_state) {
            failover_.succeeded(endpoint, number);
            return answer;
        }
        note_failure(endpoint, method, answer.error());
        why = options_.endpoints[endpoint].url + ": " + answer.error().detail;
    }
    return failed(std::move(why));
}

// Signatures of these wallets do not name their network, so an endpoint of another one must never
// be spoken to.
Result<void> Toncenter::check_network(std::size_t endpoint) {
    if (network_known_[endpoint]) return {};
    net::ClientRequest request;
    request.url = "/api/v2/getConfigParam?config_id=" + std::to_string(network_parameter);
    const auto response = call(endpoint, Method::parameter, std::move(request));
    if (!response) return response.error();
    const auto cell = toncenter::read_parameter(response->body);
    if (!cell) return cell.error();
    ton::Slice slice{*cell};
    const std::int64_t network = slice.signed_number(32);
    if (!slice.finished() || network != static_cast<std::int32_t>(options_.network))
        return failed("it is of network " + std::to_string(network));
    network_known_[endpoint] = true;
    return {};
}

Result<ton::AccountView> Toncenter::account_at(std::size_t endpoint, const std::string& path) {
    net::ClientRequest request;
    request.url = path;
    const auto response = call(endpoint, Method::account, std::move(request));
    if (!response) return response.error();
    auto view = toncenter::read_account(response->body);
    if (!view) return view;
    const Duration ahead = view->at - clock_.now();
    if (ahead > options_.clock_skew_max || Duration{} - ahead > options_.clock_skew_max)
        return failed("its clock is off by " + std::to_string(ahead.seconds()) + " s");
    return view;
}

namespace {

std::string account_path(const ton::Address& address) {
    return "/api/v2/getAddressInformation?address=" + percent_encoded(address.raw());
}

}  // namespace

Result<ton::AccountView> Toncenter::account(const ton::Address& address) {
    return first_good<ton::AccountView>(
        Method::account, [&](std::size_t endpoint) -> Result<ton::AccountView> {
            auto view = account_at(endpoint, account_path(address));
            if (!view) return view;
            if (view->seqno < newest_seqno_)
                return failed("it is " + std::to_string(newest_seqno_ - view->seqno) +
                              " blocks behind what was seen before");
            newest_seqno_ = view->seqno;
            return view;
        });
}

std::vector<ton::AccountView> Toncenter::witnesses(const ton::Address& address) {
    std::vector<ton::AccountView> views;
    for (std::size_t endpoint = 0; endpoint < options_.endpoints.size(); ++endpoint) {
        if (!check_network(endpoint)) continue;
        if (auto view = account_at(endpoint, account_path(address))) views.push_back(*view);
    }
    return views;
}

Result<std::vector<ton::Transaction>> Toncenter::transactions(const ton::Address& address,
                                                              const ton::TransactionId& newest,
                                                              std::uint64_t after_lt) {
    const std::string path = "/api/v2/getTransactions?address=" + percent_encoded(address.raw()) +
                             "&limit=" + std::to_string(page_max) +
                             "&lt=" + std::to_string(newest.lt) +
                             "&hash=" + percent_encoded(to_base64(newest.hash)) +
                             "&to_lt=" + std::to_string(after_lt) + "&archival=true";
    return first_good<std::vector<ton::Transaction>>(
        Method::transactions, [&](std::size_t endpoint) -> Result<std::vector<ton::Transaction>> {
            net::ClientRequest request;
            request.url = path;
            const auto response = call(endpoint, Method::transactions, std::move(request));
            if (!response) return response.error();
            const auto page = toncenter::read_transactions(response->body);
            if (!page) return page.error();
            return ton::verified_page(address, newest, *page);
        });
}

Result<ton::CellRef> Toncenter::parameter(int number) {
    return first_good<ton::CellRef>(
        Method::parameter, [&](std::size_t endpoint) -> Result<ton::CellRef> {
            net::ClientRequest request;
            request.url = "/api/v2/getConfigParam?config_id=" + std::to_string(number);
            const auto response = call(endpoint, Method::parameter, std::move(request));
            if (!response) return response.error();
            return toncenter::read_parameter(response->body);
        });
}

Result<void> Toncenter::send_to(std::size_t endpoint, Method method, const std::string& path,
                                const std::string& body) {
    net::ClientRequest request;
    request.method = "POST";
    request.url = path;
    request.headers.add("Content-Type", "application/json");
    request.body = body;
    const auto response = call(endpoint, method, std::move(request));
    if (!response) return response.error();
    return toncenter::read_sent(response->status, response->body);
}

// Each time another endpoint is the first: one that says yes and forgets is not asked for ever.
Result<void> Toncenter::send(ByteView message) {
    const std::string body = toncenter::send_request(message);
    const std::size_t first = next_sender_++ % options_.endpoints.size();
    constexpr std::pair<Method, const char*> ways[] = {{Method::send_v2, "/api/v2/sendBoc"},
                                                       {Method::send_v3, "/api/v3/message"}};
    Result<void> sent;
    for (const auto& [method, path] : ways) {
        failover_.prefer(first, static_cast<std::size_t>(method));
        const auto way = method;
        const std::string target = path;
        const auto answer = first_good<bool>(way, [&](std::size_t endpoint) -> Result<bool> {
            const auto taken = send_to(endpoint, way, target, body);
            if (!taken) return taken.error();
            return true;
        });
        if (answer) return {};
        sent = answer.error();
        if (answer.error().code == ErrorCode::wrong_state) break;
    }
    return sent;
}

}  // namespace cocoon::server
