#include "api/http.hpp"

#include "api/respond.hpp"

namespace cocoon::api {
namespace {

bool same_name(std::string_view a, std::string_view b) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i)
        if (lower(a[i]) != lower(b[i])) return false;
    return true;
}

}  // namespace

std::string_view Call::header(std::string_view name) const {
    for (const Header& header : headers)
        if (same_name(header.first, name)) return header.second;
    return {};
}

void write_problem(JsonWriter& out, const Error& error, std::string_view request_id) {
    const ErrorInfo& info = describe(error.code);
    out.text("type", "/docs#" + std::string{info.name});
    out.text("title", info.title);
    out.integer("status", info.status);
    if (!error.detail.empty()) out.text("detail", error.detail);
    out.text("code", info.name);
    out.boolean("retryable", info.retryable);
    if (!error.fields.empty()) {
        out.open_array("errors");
        for (const FieldError& field : error.fields) {
            out.open_object();
            out.text("path", field.path);
            out.text("message", field.message);
            out.close_object();
        }
        out.close_array();
    }
    out.text("request_id", request_id);
}

Response problem_with(const Error& error, std::string_view request_id,
                      const std::function<void(JsonWriter&)>& more) {
    const ErrorInfo& info = describe(error.code);
    JsonWriter out;
    out.open_object();
    write_problem(out, error, request_id);
    if (more) more(out);
    out.close_object();
    Response response;
    response.status = info.status;
    response.content_type = "application/problem+json";
    response.body = out.take();
    // Every 429 and 503 says when to come back; admission and the limiter put better figures.
    const std::int64_t wait = std::max<std::int64_t>(1, error.retry_after_seconds);
    if (info.status == 429 || info.status == 503)
        response.headers.emplace_back("Retry-After", std::to_string(wait));
    if (info.status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
    return response;
}

Response problem(const Error& error, std::string_view request_id) {
    return problem_with(error, request_id, {});
}

Response json_response(int status, std::string body) {
    Response response;
    response.status = status;
    response.body = std::move(body);
    return response;
}

Response no_content() {
    Response response;
    response.status = 204;
    response.content_type.clear();
    return response;
}

std::string etag_of(std::uint64_t version) { return '"' + std::to_string(version) + '"'; }

Result<std::uint64_t> if_match(const Call& call) {
    const std::string_view header = call.header("If-Match");
    if (header.empty())
        return refuse(ErrorCode::precondition_required, "Send If-Match with the ETag you read.");
    if (header == "*") return std::uint64_t{0};
    // A weak tag never matches strongly (RFC 9110 §8.8.3.2); a list is not supported.
    if (header.starts_with("W/"))
        return refuse(ErrorCode::precondition_failed, "If-Match needs a strong ETag.");
    if (header.size() < 3 || header.front() != '"' || header.back() != '"')
        return Error{
            ErrorCode::invalid_body, {}, {{"If-Match:", "must be one ETag in quotes, or *"}}};
    const auto version = Nano::parse(header.substr(1, header.size() - 2));
    // An ETag that was never ours is simply not the current one.
    if (!version || version->value <= 0)
        return refuse(ErrorCode::precondition_failed, "The resource has another version.");
    return static_cast<std::uint64_t>(version->value);
}

Response with_etag(const Call& call, Response response, std::uint64_t version) {
    const std::string etag = etag_of(version);
    const std::string_view known = call.header("If-None-Match");
    if (call.method == Method::get && !known.empty() &&
        (known == "*" || known.find(etag) != std::string_view::npos)) {
        response.status = 304;
        response.body.clear();
        response.content_type.clear();
    }
    response.headers.emplace_back("ETag", etag);
    return response;
}

}  // namespace cocoon::api
