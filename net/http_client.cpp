#include "net/http_client.hpp"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>

#include <array>
#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>
#include <set>
#include <stdexcept>

#include "core/ensure.hpp"

namespace cocoon::net {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t response_header_bytes_max = 64 << 10;
constexpr long kept_connections_per_session = 4;
constexpr std::chrono::milliseconds poll_max{1'000};

// curl_global_init is not thread-safe before the first call; a local static is.
void initialise_curl() {
    static const CURLcode done = curl_global_init(CURL_GLOBAL_DEFAULT);
    if (done != CURLE_OK) throw std::runtime_error{"libcurl cannot be initialised"};
}

// One transfer at a time. The multi handle owns the kept connections and can be woken from outside.
struct Session {
    CURL* easy = curl_easy_init();
    CURLM* multi = curl_multi_init();

    Session() {
        if (!easy || !multi) throw std::bad_alloc{};
        curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, kept_connections_per_session);
    }
    ~Session() {
        curl_easy_cleanup(easy);
        curl_multi_cleanup(multi);
    }
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
};

struct FreeList {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using List = std::unique_ptr<curl_slist, FreeList>;

bool is_token(std::string_view text) {
    if (text.empty()) return false;
    for (const char c : text) {
        const bool alphanumeric =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alphanumeric && std::string_view{"!#$%&'*+-.^_`|~"}.find(c) == std::string_view::npos)
            return false;
    }
    return true;
}

bool is_field_value(std::string_view text) {
    return text.find_first_of(std::string_view{"\r\n\0", 3}) == std::string_view::npos;
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && std::string_view{" \t\r\n"}.find(text.back()) != std::string_view::npos)
        text.remove_suffix(1);
    return text;
}

struct Target {
    bool valid = false;
    bool loopback = false;
};

Target examine(const std::string& url) {
    Target target;
    const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> parsed{curl_url(), &curl_url_cleanup};
    if (!parsed || curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK)
        return target;
    const auto part = [&](CURLUPart which) {
        char* text = nullptr;
        if (curl_url_get(parsed.get(), which, &text, 0) != CURLUE_OK) return std::string{};
        std::string copy{text};
        curl_free(text);
        return copy;
    };
    const std::string scheme = part(CURLUPART_SCHEME);
    const std::string host = part(CURLUPART_HOST);
    target.valid = (scheme == "http" || scheme == "https") && !host.empty();
    target.loopback = host == "localhost" || host.starts_with("127.") || host == "[::1]";
    return target;
}

// What one call knows while libcurl calls back into it.
struct Transfer {
    const std::function<bool(const ClientResponse&)>* on_head = nullptr;
    const std::function<bool(std::string_view)>* on_chunk = nullptr;
    const std::function<bool(std::string_view)>* address_allowed = nullptr;
    std::size_t response_bytes_max = 0;

    ClientResponse response;
    std::size_t header_bytes = 0;
    std::size_t body_bytes = 0;
    curl_off_t sent_bytes = 0;
    bool head_given = false;
    bool refused_by_caller = false;
    bool too_large = false;
    bool address_refused = false;
    std::exception_ptr thrown;
    Clock::time_point last_activity = Clock::now();

    // Runs the caller's code; nothing may be thrown through C frames.
    template <class Call>
    bool ask(const Call& call) {
        try {
            if (call()) return true;
            refused_by_caller = true;
        } catch (...) {
            thrown = std::current_exception();
        }
        return false;
    }

    bool take_header(std::string_view line);
    bool take_body(std::string_view bytes);
};

bool Transfer::take_header(std::string_view line) {
    last_activity = Clock::now();
    header_bytes += line.size();
    if (header_bytes > response_header_bytes_max) {
        too_large = true;
        return false;
    }
    if (!head_given && line.starts_with("HTTP/")) {
        response = ClientResponse{};
        const std::size_t space = line.find(' ');
        if (space != std::string_view::npos && line.size() >= space + 4)
            for (std::size_t i = space + 1; i < space + 4; ++i)
                response.status = response.status * 10 + (line[i] - '0');
        return true;
    }
    if (trimmed(line).empty()) {
        if (head_given || response.status < 200)
            return true;  // 100 Continue and its kin: the real head follows
        head_given = true;
        return !on_head || ask([&] { return (*on_head)(response); });
    }
    const std::size_t colon = line.find(':');
    if (colon != std::string_view::npos)
        (head_given ? response.trailers : response.headers)
            .add(std::string{line.substr(0, colon)}, std::string{trimmed(line.substr(colon + 1))});
    return true;
}

bool Transfer::take_body(std::string_view bytes) {
    last_activity = Clock::now();
    body_bytes += bytes.size();
    if (body_bytes > response_bytes_max) {
        too_large = true;
        return false;
    }
    if (on_chunk) return ask([&] { return (*on_chunk)(bytes); });
    response.body += bytes;
    return true;
}

extern "C" std::size_t cocoon_curl_header(char* data, std::size_t, std::size_t size,
                                          void* transfer) {
    return static_cast<Transfer*>(transfer)->take_header({data, size}) ? size : size + 1;
}

extern "C" std::size_t cocoon_curl_body(char* data, std::size_t, std::size_t size, void* transfer) {
    return static_cast<Transfer*>(transfer)->take_body({data, size}) ? size : size + 1;
}

extern "C" int cocoon_curl_progress(void* context, curl_off_t, curl_off_t, curl_off_t,
                                    curl_off_t sent) {
    auto& transfer = *static_cast<Transfer*>(context);
    if (sent != transfer.sent_bytes) {  // a long upload is no silence
        transfer.sent_bytes = sent;
        transfer.last_activity = Clock::now();
    }
    return 0;
}

// The address in numbers; empty for what is no internet address.
std::string text_of(const curl_sockaddr& peer) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    const void* bytes = nullptr;
    if (peer.family == AF_INET)
        bytes = &reinterpret_cast<const sockaddr_in*>(&peer.addr)->sin_addr;
    else if (peer.family == AF_INET6)
        bytes = &reinterpret_cast<const sockaddr_in6*>(&peer.addr)->sin6_addr;
    if (!bytes || !inet_ntop(peer.family, bytes, text.data(), text.size())) return {};
    return text.data();
}

extern "C" curl_socket_t cocoon_curl_open(void* transfer, curlsocktype, curl_sockaddr* peer) {
    auto& state = *static_cast<Transfer*>(transfer);
    if (state.address_allowed && *state.address_allowed) {
        const std::string address = text_of(*peer);
        if (!state.ask([&] { return !address.empty() && (*state.address_allowed)(address); })) {
            state.address_refused = true;
            return CURL_SOCKET_BAD;
        }
    }
    return socket(peer->family, peer->socktype | SOCK_CLOEXEC, peer->protocol);
}

Error explain(CURLcode code, const Transfer& transfer) {
    if (transfer.address_refused)
        return refuse(ErrorCode::forbidden, "the host's address may not be called");
    if (transfer.too_large)
        return refuse(ErrorCode::body_too_large, "the answer is larger than the limit");
    if (transfer.refused_by_caller) return refuse(ErrorCode::upstream_failed, "cancelled");
    const std::string detail = curl_easy_strerror(code);
    switch (code) {
        case CURLE_UNSUPPORTED_PROTOCOL:
        case CURLE_URL_MALFORMAT: return refuse(ErrorCode::malformed_request, detail);
        case CURLE_COULDNT_RESOLVE_PROXY:
        case CURLE_COULDNT_RESOLVE_HOST:
        case CURLE_COULDNT_CONNECT: return refuse(ErrorCode::node_unavailable, detail);
        case CURLE_OPERATION_TIMEDOUT: return refuse(ErrorCode::deadline_exceeded, detail);
        case CURLE_PARTIAL_FILE: return refuse(ErrorCode::stream_truncated, detail);
        case CURLE_RECV_ERROR:
            return refuse(
                transfer.head_given ? ErrorCode::stream_truncated : ErrorCode::upstream_failed,
                detail);
        default: return refuse(ErrorCode::upstream_failed, detail);
    }
}

}  // namespace

struct CancelToken::Impl {
    std::atomic<bool> cancelled{false};
    std::mutex mutex;
    std::set<CURLM*> waiting;
};

CancelToken::CancelToken() : impl_{std::make_unique<Impl>()} {}
CancelToken::~CancelToken() = default;

void CancelToken::cancel() noexcept {
    impl_->cancelled = true;
    const std::lock_guard lock{impl_->mutex};
    for (CURLM* multi : impl_->waiting) curl_multi_wakeup(multi);
}

bool CancelToken::cancelled() const noexcept { return impl_->cancelled; }

struct HttpClient::Impl {
    const HttpClientOptions options;
    std::mutex mutex;
    std::vector<std::unique_ptr<Session>> idle;

    std::unique_ptr<Session> take() {
        const std::lock_guard lock{mutex};
        if (idle.empty()) return std::make_unique<Session>();
        auto session = std::move(idle.back());
        idle.pop_back();
        return session;
    }

    void give_back(std::unique_ptr<Session> session) {
        const std::lock_guard lock{mutex};
        if (idle.size() < options.idle_connections_max) idle.push_back(std::move(session));
    }

    Result<List> prepare(CURL* easy, const ClientRequest& request) const;
    Result<ClientResponse> perform(const ClientRequest& request, Transfer& transfer,
                                   CancelToken* cancel);
    CURLcode wait(CURLM* multi, Transfer& transfer, CancelToken* cancel) const;
};

// Sets everything but the callbacks. The list must outlive the transfer.
Result<List> HttpClient::Impl::prepare(CURL* easy, const ClientRequest& request) const {
    const Target target = examine(request.url);
    if (!target.valid) return refuse(ErrorCode::malformed_request, "not an http or https URL");
    if (!is_token(request.method)) return refuse(ErrorCode::malformed_request, "not a method");

    curl_easy_reset(easy);
    curl_easy_setopt(easy, CURLOPT_URL, request.url.c_str());
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_HTTP09_ALLOWED, 0L);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
    curl_easy_setopt(easy, CURLOPT_USERAGENT, options.user_agent.c_str());
    if (target.loopback || !options.environment_proxy) curl_easy_setopt(easy, CURLOPT_PROXY, "");
    if (!options.ca_file.empty()) curl_easy_setopt(easy, CURLOPT_CAINFO, options.ca_file.c_str());
    const Duration total =
        request.total_timeout.us > 0 ? request.total_timeout : options.total_timeout;
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(total.milliseconds()));
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                     static_cast<long>(options.connect_timeout.milliseconds()));

    if (request.method == "HEAD") {
        curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    } else if (request.method == "GET" && request.body.empty()) {
        curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L);
    } else if (!request.body.empty() || request.method == "POST" || request.method == "PUT" ||
               request.method == "PATCH") {
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                         static_cast<curl_off_t>(request.body.size()));
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.data());
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    } else {
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request.method.c_str());
    }

    List list;
    const auto append = [&](const std::string& line) {
        curl_slist* longer = curl_slist_append(list.get(), line.c_str());
        if (!longer) throw std::bad_alloc{};
        [[maybe_unused]] auto* same = list.release();
        list.reset(longer);
    };
    for (const Header& field : request.headers) {
        if (!is_token(field.name) || !is_field_value(field.value))
            return refuse(ErrorCode::malformed_request, "a header cannot be sent");
        append(field.value.empty() ? field.name + ";" : field.name + ": " + field.value);
    }
    // libcurl's own additions are left out: waiting a second for a 100, and a form's content type.
    if (!request.headers.contains("Expect")) append("Expect:");
    if (!request.headers.contains("Content-Type")) append("Content-Type:");
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, list.get());
    return list;
}

// Runs the transfer to its end. CURLE_ABORTED_BY_CALLBACK = cancelled by the token.
CURLcode HttpClient::Impl::wait(CURLM* multi, Transfer& transfer, CancelToken* cancel) const {
    for (;;) {
        int running = 0;
        if (curl_multi_perform(multi, &running) != CURLM_OK) return CURLE_FAILED_INIT;
        int left = 0;
        while (const CURLMsg* message = curl_multi_info_read(multi, &left))
            if (message->msg == CURLMSG_DONE) return message->data.result;
        if (running == 0) return CURLE_FAILED_INIT;
        if (cancel && cancel->cancelled()) return CURLE_ABORTED_BY_CALLBACK;
        const auto quiet = std::chrono::duration_cast<std::chrono::milliseconds>(
            Clock::now() - transfer.last_activity);
        const std::chrono::milliseconds room{options.idle_timeout.milliseconds()};
        if (quiet >= room) return CURLE_OPERATION_TIMEDOUT;
        curl_multi_poll(multi, nullptr, 0,
                        static_cast<int>(std::min(room - quiet, poll_max).count()), nullptr);
    }
}

Result<ClientResponse> HttpClient::Impl::perform(const ClientRequest& request, Transfer& transfer,
                                                 CancelToken* cancel) {
    if (cancel && cancel->cancelled()) return refuse(ErrorCode::upstream_failed, "cancelled");
    auto session = take();
    CURL* easy = session->easy;
    CURLM* multi = session->multi;
    auto list = prepare(easy, request);
    if (!list) return list.error();
    transfer.response_bytes_max =
        request.response_bytes_max > 0 ? request.response_bytes_max : options.response_bytes_max;
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, &cocoon_curl_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, &transfer);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &cocoon_curl_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, &transfer);
    curl_easy_setopt(easy, CURLOPT_XFERINFOFUNCTION, &cocoon_curl_progress);
    curl_easy_setopt(easy, CURLOPT_XFERINFODATA, &transfer);
    curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, &cocoon_curl_open);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, &transfer);
    transfer.address_allowed = &options.address_allowed;

    if (curl_multi_add_handle(multi, easy) != CURLM_OK)
        throw std::runtime_error{"libcurl refused a transfer"};
    if (cancel) {
        const std::lock_guard lock{cancel->impl_->mutex};
        cancel->impl_->waiting.insert(multi);
    }
    const CURLcode code = wait(multi, transfer, cancel);
    if (cancel) {
        const std::lock_guard lock{cancel->impl_->mutex};
        cancel->impl_->waiting.erase(multi);
    }
    curl_multi_remove_handle(multi, easy);
    give_back(std::move(session));

    if (transfer.thrown) std::rethrow_exception(transfer.thrown);
    if (code == CURLE_ABORTED_BY_CALLBACK) return refuse(ErrorCode::upstream_failed, "cancelled");
    if (code != CURLE_OK) return explain(code, transfer);
    return std::move(transfer.response);
}

HttpClient::HttpClient(HttpClientOptions options) {
    initialise_curl();
    impl_ = std::unique_ptr<Impl>{new Impl{std::move(options), {}, {}}};
}

HttpClient::~HttpClient() = default;

Result<ClientResponse> HttpClient::send(const ClientRequest& request, CancelToken* cancel) {
    Transfer transfer;
    return impl_->perform(request, transfer, cancel);
}

Result<ClientResponse> HttpClient::stream(const ClientRequest& request,
                                          const std::function<bool(const ClientResponse&)>& on_head,
                                          const std::function<bool(std::string_view)>& on_chunk,
                                          CancelToken* cancel) {
    Transfer transfer;
    transfer.on_head = &on_head;
    transfer.on_chunk = &on_chunk;
    return impl_->perform(request, transfer, cancel);
}

}  // namespace cocoon::net
