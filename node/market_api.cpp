#include "node/market_api.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>

#include "core/encoding.hpp"
#include "core/ids.hpp"
#include "core/log.hpp"
#include "node/files.hpp"
#include "node/wire.hpp"
#include "sealing/canonical_json.hpp"
#include "sealing/signing.hpp"
#include "sealing/statement.hpp"

namespace cocoon::node {
namespace {

using sealing::Json;

constexpr int offer_pages_max = 1'000;

net::HttpClientOptions client_options(const Settings& settings) {
    net::HttpClientOptions options;
    options.connect_timeout = seconds(5);
    options.total_timeout = seconds(20);
    options.ca_file = settings.market_ca_file;
    options.user_agent = "cocoon-node/0.1";
    options.response_bytes_max = 4u << 20;
    options.idle_connections_max = 2;
    return options;
}

// The market's problem+json as the refusal it stands for.
Error problem_of(const net::ClientResponse& response) {
    Error error = refuse(ErrorCode::upstream_failed,
                         "the market answered " + std::to_string(response.status));
    const auto problem = Json::parse(response.body);
    if (!problem) return error;
    if (const ErrorInfo* info = find_error(problem->text_at("code").value_or("")))
        error.code = info->code;
    if (const auto detail = problem->text_at("detail"))
        error.detail = std::string{*detail}.substr(0, 512);
    else if (const auto title = problem->text_at("title"))
        error.detail = std::string{*title}.substr(0, 512);
    const Json* fields = problem->find("errors");
    if (fields == nullptr) return error;
    for (const Json& field : fields->items()) {
        const auto path = field.text_at("path") ? field.text_at("path") : field.text_at("code");
        const auto message =
            field.text_at("message") ? field.text_at("message") : field.text_at("text");
        if (error.fields.size() < 64)
            error.fields.push_back(
                {std::string{path.value_or("")}, std::string{message.value_or("")}});
    }
    return error;
}

Error unreadable(const char* what) {
    return refuse(ErrorCode::upstream_failed,
                  std::string{"the market's answer is not understood: "} + what);
}

Json texts(const std::vector<std::string>& list) {
    Json array = Json::array();
    for (const std::string& text : list) array.push(text);
    return array;
}

Json windows_json(const std::vector<Window>& windows) {
    Json array = Json::array();
    for (const Window& window : windows)
        array.push(
            Json::object({{"from_minute", window.from_minute}, {"to_minute", window.to_minute}}));
    return array;
}

std::vector<std::string> read_texts(const Json* value) {
    std::vector<std::string> list;
    if (value == nullptr) return list;
    for (const Json& item : value->items())
        if (const auto text = item.text()) list.emplace_back(*text);
    return list;
}

std::optional<StandingOffer> read_offer(const Json& value) {
    StandingOffer offer;
    const auto text = [&value](const char* name) {
        return std::string{value.text_at(name).value_or("")};
    };
    offer.id = text("id");
    offer.node = text("node");
    offer.market = text("market");
    offer.build = text("build");
    offer.state = text("state");
    offer.version = text("version");
    const auto price = parse_price(value.find("price"));
    if (!OfferId::parse(offer.id) || !NodeId::parse(offer.node) || offer.version.empty() || !price)
        return std::nullopt;
    offer.terms.market = offer.market;
    offer.terms.build = offer.build;
    offer.terms.price = *price;
    offer.terms.slots = value.integer_at("slots").value_or(0);
    offer.slots_used = value.integer_at("slots_used").value_or(0);
    offer.terms.context_tokens_max = value.integer_at("context_tokens_max").value_or(0);
    offer.terms.output_tokens_max = value.integer_at("output_tokens_max").value_or(0);
    offer.terms.notice_seconds = value.integer_at("notice_seconds").value_or(0);
    offer.terms.data_policy = read_texts(value.find("data_policy"));
    offer.terms.allow = read_texts(value.find("allow"));
    offer.terms.deny = read_texts(value.find("deny"));
    if (const Json* windows = value.find("windows"))
        for (const Json& window : windows->items())
            offer.terms.windows.push_back(
                {static_cast<int>(window.integer_at("from_minute").value_or(0)),
                 static_cast<int>(window.integer_at("to_minute").value_or(0))});
    return offer;
}

std::vector<std::string> sorted(std::vector<std::string> list) {
    std::sort(list.begin(), list.end());
    return list;
}

std::string url_encode(std::string_view text) {
    std::string encoded;
    for (const char c : text) {
        const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' ||
                           c == '_' || c == '.' || c == '~';
        char buffer[4];
        std::snprintf(buffer, sizeof buffer, "%%%02X", static_cast<unsigned char>(c));
        encoded += plain ? std::string{c} : std::string{buffer};
    }
    return encoded;
}

}  // namespace

Result<Identity> load_identity(const Settings& settings) {
    const auto text = read_file(settings.identity_file(), 4096, false);
    if (!text) return text.error();
    const auto document = Json::parse(*text);
    const auto node = document ? document->text_at("node") : std::nullopt;
    if (!node || !NodeId::parse(*node))
        return refuse(ErrorCode::malformed_request, settings.identity_file() + " is damaged");
    auto credential = read_file(settings.credential_file(), 4096, true);
    if (!credential) return credential.error();
    while (credential->ends_with('\n')) credential->pop_back();
    if (!credential->starts_with("ck_"))
        return refuse(ErrorCode::malformed_request,
                      settings.credential_file() + " holds no node key");
    return Identity{std::string{*node}, std::move(*credential)};
}

Result<void> save_identity(const Settings& settings, const Identity& identity) {
    // The credential first: a node.json without it would look enrolled.
    if (auto saved = replace_file(settings.credential_file(), identity.credential + "\n", true);
        !saved)
        return saved;
    const std::string text =
        Json::object({{"market", settings.market_url}, {"node", identity.node}}).serialize();
    return replace_file(settings.identity_file(), text + "\n", true);
}

MarketApi::MarketApi(const Settings& settings, std::string credential)
    : url_{settings.market_url},
      credential_{std::move(credential)},
      client_{client_options(settings)} {}

Result<net::ClientResponse> MarketApi::send(const char* method, const std::string& path,
                                            std::string body, net::Headers headers) {
    net::ClientRequest request;
    request.method = method;
    request.url = url_ + path;
    request.headers = std::move(headers);
    request.headers.set("Accept", "application/json");
    if (!credential_.empty()) request.headers.set("Authorization", "Bearer " + credential_);
    if (!body.empty()) request.headers.set("Content-Type", "application/json");
    request.body = std::move(body);
    auto response = client_.send(request, &token_);
    if (!response) return response;
    if (response->status < 200 || response->status > 299) return problem_of(*response);
    return response;
}

Result<Identity> MarketApi::enrol(const Settings& settings, const std::string& token) {
    const auto hardware = Json::parse(settings.hardware);
    Json body = Json::object({{"token", token},
                              {"name", settings.name},
                              {"region", settings.region},
                              {"country", settings.country},
                              {"gpu_model", settings.gpu_model},
                              {"gpu_count", settings.gpu_count},
                              {"hardware", hardware ? *hardware : Json::object()}});
    const auto response = send("POST", "/v1/nodes:enrol", body.serialize());
    if (!response) return response.error();
    const auto document = Json::parse(response->body);
    const Json* node = document ? document->find("node") : nullptr;
    const Json* key = document ? document->find("key") : nullptr;
    if (node == nullptr || key == nullptr) return unreadable("node or key is missing");
    Identity identity{std::string{node->text_at("id").value_or("")},
                      std::string{key->text_at("secret").value_or("")}};
    if (!NodeId::parse(identity.node) || !identity.credential.starts_with("ck_"))
        return unreadable("id or secret is missing");
    return identity;
}

Result<std::string> MarketApi::challenge(const std::string& node) {
    const auto response = send("POST", "/v1/nodes/" + node + "/challenge", "");
    if (!response) return response.error();
    const auto document = Json::parse(response->body);
    const auto nonce = document ? document->text_at("nonce") : std::nullopt;
    if (!nonce || !sealing::is_nonce(*nonce)) return unreadable("no nonce");
    return std::string{*nonce};
}

Result<void> MarketApi::post_report(const std::string& node, std::uint64_t ticket,
                                    const std::string& report) {
    const auto response =
        send("POST", "/v1/nodes/" + node + "/aci-reports/" + std::to_string(ticket), report);
    if (!response) return response.error();
    return {};
}

Result<Instant> MarketApi::submit_evidence(const std::string& node, const sealing::Keyset& keyset,
                                           const std::string& nonce,
                                           const attestation::Evidence& evidence) {
    const std::string body = Json::object({{"tier", evidence.tier},
                                           {"nonce", nonce},
                                           {"keyset_document", keyset.document},
                                           {"evidence", to_base64(evidence.bytes)}})
                                 .serialize();
    const auto response = send("POST", "/v1/nodes/" + node + "/evidence", body);
    if (!response) return response.error();
    const auto document = Json::parse(response->body);
    const Json* verdict = document ? document->find("verdict") : nullptr;
    const Json* holder = verdict != nullptr && verdict->text_at("valid_until") ? verdict
                         : document                                            ? &*document
                                                                               : nullptr;
    const auto text = holder == nullptr ? std::nullopt : holder->text_at("valid_until");
    const auto until = text ? Instant::parse(*text) : std::nullopt;
    if (!until) return unreadable("no valid_until");
    // Proven is not all: the register may not know the build, or the operator deny the hardware.
    if (const auto advice = document->text_at("advice"))
        log::warning(
            "not traded with everybody",
            {{"standing", document->text_at("standing").value_or("")}, {"advice", *advice}});
    return *until;
}

Result<std::vector<StandingOffer>> MarketApi::offers() {
    std::vector<StandingOffer> all;
    std::string cursor;
    for (int page = 0; page < offer_pages_max; ++page) {
        const auto response = send(
            "GET", "/v1/offers?limit=100" + (cursor.empty() ? "" : "&cursor=" + url_encode(cursor)),
            "");
        if (!response) return response.error();
        const auto document = Json::parse(response->body, {.bytes_max = 4u << 20});
        const Json* items = document ? document->find("items") : nullptr;
        if (items == nullptr || !items->is_array()) return unreadable("no list of offers");
        for (const Json& item : items->items()) {
            auto offer = read_offer(item);
            if (!offer) return unreadable("an offer lacks something");
            if (offer->state != "cancelled" && offer->state != "expired")
                all.push_back(std::move(*offer));
        }
        const auto next = document->text_at("next_cursor") ? document->text_at("next_cursor")
                                                           : document->text_at("cursor");
        if (!next || next->empty()) return all;
        cursor = *next;
    }
    return unreadable("the list of offers has no end");
}

Result<std::string> MarketApi::place_offer(const std::string& node, const OfferSettings& offer) {
    Json body = Json::object({{"node", node},
                              {"market", offer.market},
                              {"price", price_json(offer.price)},
                              {"slots", offer.slots},
                              {"data_policy", texts(offer.data_policy)},
                              {"windows", windows_json(offer.windows)},
                              {"notice_seconds", offer.notice_seconds},
                              {"allow", texts(offer.allow)},
                              {"deny", texts(offer.deny)}});
    if (!offer.build.empty()) body.set("build", offer.build);
    if (offer.context_tokens_max > 0) body.set("context_tokens_max", offer.context_tokens_max);
    if (offer.output_tokens_max > 0) body.set("output_tokens_max", offer.output_tokens_max);
    // A fresh key for each placing: the same offer may be placed again after it was cancelled.
    const auto response =
        send("POST", "/v1/offers", body.serialize(),
             net::Headers{{"Idempotency-Key", to_hex(sealing::random_bytes(16))}});
    if (!response) return response.error();
    const auto document = Json::parse(response->body);
    const Json* inner = document ? document->find("offer") : nullptr;
    const Json* holder = inner != nullptr ? inner : document ? &*document : nullptr;
    const auto id = holder == nullptr ? std::nullopt : holder->text_at("id");
    if (!id || !OfferId::parse(*id)) return unreadable("no offer id");
    return std::string{*id};
}

Result<void> MarketApi::amend_offer(const StandingOffer& standing, const OfferSettings& wanted) {
    const std::string body = Json::object({{"price", price_json(wanted.price)},
                                           {"slots", wanted.slots},
                                           {"windows", windows_json(wanted.windows)},
                                           {"allow", texts(wanted.allow)},
                                           {"deny", texts(wanted.deny)}})
                                 .serialize();
    const auto response = send("PATCH", "/v1/offers/" + standing.id, body,
                               net::Headers{{"If-Match", '"' + standing.version + '"'}});
    if (!response) return response.error();
    return {};
}

Result<void> MarketApi::cancel_offer(const StandingOffer& standing) {
    const auto response = send("DELETE", "/v1/offers/" + standing.id, "",
                               net::Headers{{"If-Match", '"' + standing.version + '"'}});
    if (!response) return response.error();
    return {};
}

Result<void> MarketApi::drain(const std::string& node, bool draining) {
    const auto response = send("POST", "/v1/nodes/" + node + (draining ? ":drain" : ":resume"), "");
    if (!response) return response.error();
    return {};
}

Result<MarketApi::Reached> MarketApi::reach(const Clock& clock) {
    net::ClientRequest request;
    request.url = url_ + "/livez";
    const Instant before = clock.now();
    const auto response = client_.send(request, &token_);
    if (!response) return response.error();
    const Instant after = clock.now();
    Reached reached;
    reached.status = response->status;
    reached.round_trip = after - before;
    // Date has whole seconds: it was right somewhere in [date, date + 1 s) during [before, after].
    if (const auto date = parse_http_date(response->headers.get("Date")))
        reached.clock_ahead = Duration{(before.us + after.us) / 2 - date->us - 500'000};
    return reached;
}

bool amendable(const OfferSettings& a, const OfferSettings& b) {
    return a.market == b.market && a.build == b.build &&
           a.context_tokens_max == b.context_tokens_max &&
           a.output_tokens_max == b.output_tokens_max && a.notice_seconds == b.notice_seconds &&
           sorted(a.data_policy) == sorted(b.data_policy);
}

bool same_terms(const OfferSettings& a, const OfferSettings& b) {
    return amendable(a, b) && a.price == b.price && a.slots == b.slots && a.windows == b.windows &&
           sorted(a.allow) == sorted(b.allow) && sorted(a.deny) == sorted(b.deny);
}

std::optional<Instant> parse_http_date(std::string_view text) {
    static constexpr std::array<const char*, 12> months = {
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    char month[4] = {};
    int day = 0, year = 0, hour = 0, minute = 0, second = 0, used = 0;
    const std::string copy{text};
    if (copy.size() != 29 ||
        std::sscanf(copy.c_str() + 5, "%2d %3s %4d %2d:%2d:%2d GMT%n", &day, month, &year, &hour,
                    &minute, &second, &used) != 6 ||
        used != 24)
        return std::nullopt;
    for (std::size_t i = 0; i < months.size(); ++i) {
        if (std::string_view{months[i]} != month) continue;
        char buffer[32];
        std::snprintf(buffer, sizeof buffer, "%04d-%02zu-%02dT%02d:%02d:%02dZ", year, i + 1, day,
                      hour, minute, second);
        return Instant::parse(buffer);
    }
    return std::nullopt;
}

}  // namespace cocoon::node
