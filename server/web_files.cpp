#include "server/web_files.hpp"

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <utility>
#include <vector>

#include "core/encoding.hpp"
#include "sealing/signing.hpp"

namespace cocoon::server {
namespace {

constexpr std::string_view page_name = "/index.html";
constexpr std::string_view pages_name = "/pages.txt";
constexpr std::string_view bridges_name = "/bridges.txt";
constexpr std::string_view manifest_name = "/tonconnect-manifest.json";

// Everything a page needs comes from here, and nothing written into a page runs. Styles set by
// script (charts, positions) go through the style object, which needs no exception. Whom a page may
// speak to comes last, so that a wallet's page can add that wallet's bridge.
constexpr std::string_view content_policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self' "
    "data:; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "connect-src 'self'";

struct Type {
    std::string_view ending, type;
};
constexpr Type types[] = {
    {".html", "text/html; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".svg", "image/svg+xml"},
    {".png", "image/png"},
    {".woff2", "font/woff2"},
    {".json", "application/json"},
    {".webmanifest", "application/manifest+json"},
    {".txt", "text/plain; charset=utf-8"},
};

std::string_view type_of(std::string_view path) {
    for (const Type& known : types)
        if (path.ends_with(known.ending)) return known.type;
    return {};
}

std::string read_whole(const std::filesystem::path& path) {
    std::ifstream in{path, std::ios::binary};
    std::string bytes{std::istreambuf_iterator<char>{in}, {}};
    if (!in.good() && !in.eof()) throw std::runtime_error{"cannot read " + path.string()};
    return bytes;
}

std::string etag_of(std::string_view bytes) {
    const sealing::Digest digest = sealing::sha256(as_bytes(bytes));
    return '"' + to_hex(ByteView{digest}.first(16)) + '"';
}

// Weak comparison (RFC 9110 §13.1.2): the tag stands in the list, or the list is "*".
bool has_tag(std::string_view list, std::string_view etag) {
    return list == "*" || list.find(etag) != std::string_view::npos;
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
    while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
    return text;
}

// One source of a policy and nothing that would begin another.
bool is_bridge(std::string_view source) {
    return source.starts_with("https://") && source.find_first_of(" ;,'\"\r\t") == source.npos;
}

std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        if (end > 0) lines.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}

std::string with_origin(std::string text, std::string_view origin) {
    constexpr std::string_view place = "{origin}";
    for (std::size_t at = 0; (at = text.find(place, at)) != text.npos; at += origin.size())
        text.replace(at, place.size(), origin);
    return text;
}

void add_page_headers(api::Response& response, bool secure, std::string_view bridge) {
    std::string policy{content_policy};
    if (!bridge.empty()) policy.append(" ").append(bridge);
    response.headers.emplace_back("Content-Security-Policy", std::move(policy));
    response.headers.emplace_back("Referrer-Policy", "no-referrer");
    response.headers.emplace_back("Cross-Origin-Opener-Policy", "same-origin");
    response.headers.emplace_back("Cross-Origin-Resource-Policy", "same-origin");
    response.headers.emplace_back("X-Frame-Options", "DENY");
    response.headers.emplace_back(
        "Permissions-Policy",
        "camera=(), geolocation=(), microphone=(), payment=(), usb=(), browsing-topics=()");
    if (secure) response.headers.emplace_back("Strict-Transport-Security", "max-age=31536000");
}

}  // namespace

bool accepts_coding(std::string_view accept_encoding, std::string_view coding) {
    while (!accept_encoding.empty()) {
        const std::size_t comma = std::min(accept_encoding.find(','), accept_encoding.size());
        std::string_view item = accept_encoding.substr(0, comma);
        accept_encoding.remove_prefix(std::min(comma + 1, accept_encoding.size()));
        const std::size_t semicolon = std::min(item.find(';'), item.size());
        if (!net::same_ignoring_case(trimmed(item.substr(0, semicolon)), coding)) continue;
        std::string_view weight = trimmed(item.substr(std::min(semicolon + 1, item.size())));
        if (!weight.starts_with("q=")) return true;
        weight.remove_prefix(2);
        return weight.find_first_of("123456789") != std::string_view::npos;
    }
    return false;
}

std::string WebFiles::take(std::string_view name) {
    const auto found = files_.find(name);
    if (found == files_.end()) return {};
    std::string bytes = std::move(found->second.plain.bytes);
    files_.erase(found);
    return bytes;
}

WebFiles WebFiles::load(const std::string& folder, std::string_view origin) {
    namespace fs = std::filesystem;
    WebFiles web;
    std::size_t count = 0, total = 0;
    for (const auto& entry : fs::recursive_directory_iterator{folder}) {
        if (!entry.is_regular_file()) continue;
        std::string path = '/' + fs::relative(entry.path(), folder).generic_string();
        std::string bytes = read_whole(entry.path());
        total += bytes.size();
        if (++count > web_files_max || total > web_bytes_max)
            throw std::runtime_error{folder + " is larger than what is served from memory"};
        Body File::*form = &File::plain;
        if (path.ends_with(".br")) form = &File::brotli;
        if (path.ends_with(".gz")) form = &File::gzip;
        if (form != &File::plain) path.resize(path.size() - 3);
        const std::string_view type = type_of(path);
        if (type.empty()) throw std::runtime_error{"a file of unknown type: " + path};
        File& file = web.files_[path];
        file.type = type;
        file.hashed = path.starts_with("/assets/");
        (file.*form).etag = etag_of(bytes);
        (file.*form).bytes = std::move(bytes);
    }
    if (!web.files_.contains(pages_name) || !web.files_.contains(page_name))
        throw std::runtime_error{folder + " holds no index.html and pages.txt"};
    const std::string pages = web.take(pages_name), bridges = web.take(bridges_name);
    for (const std::string_view line : lines_of(pages)) web.pages_.emplace(line);
    for (const std::string_view line : lines_of(bridges)) {
        const std::size_t space = std::min(line.find(' '), line.size() - 1);
        const std::string_view source = line.substr(space + 1);
        if (!is_bridge(source)) throw std::runtime_error{"not a bridge: " + std::string{line}};
        web.bridges_.emplace(line.substr(0, space), source);
    }
    if (const auto manifest = web.files_.find(manifest_name); manifest != web.files_.end()) {
        File& file = manifest->second;
        file.plain.bytes = with_origin(std::move(file.plain.bytes), origin);
        file.plain.etag = etag_of(file.plain.bytes);
        file.brotli = file.gzip = {};
    }
    for (const auto& [path, file] : web.files_)
        if (file.plain.etag.empty()) throw std::runtime_error{"only compressed: " + path};
    return web;
}

bool WebFiles::is_page(std::string_view path) const {
    if (path == "/") return true;
    path.remove_prefix(1);
    return pages_.contains(path.substr(0, path.find('/')));
}

std::string_view WebFiles::bridge_of(std::string_view path) const {
    const std::size_t second = path.find('/', 1);
    if (second == path.npos) return {};
    const auto found = bridges_.find(path.substr(0, path.find('/', second + 1)));
    return found == bridges_.end() ? std::string_view{} : found->second;
}

api::Response WebFiles::respond(const File& file, const net::Request& request, int status) const {
    const std::string_view accepted = request.headers.get("Accept-Encoding");
    const Body* body = &file.plain;
    std::string_view coding;
    if (!file.brotli.etag.empty() && accepts_coding(accepted, "br")) {
        body = &file.brotli;
        coding = "br";
    } else if (!file.gzip.etag.empty() && accepts_coding(accepted, "gzip")) {
        body = &file.gzip;
        coding = "gzip";
    }
    api::Response response;
    response.status = status;
    response.content_type = file.type;
    response.headers.emplace_back("ETag", body->etag);
    response.headers.emplace_back("Cache-Control",
                                  file.hashed ? "public, max-age=31536000, immutable" : "no-cache");
    if (!file.brotli.etag.empty() || !file.gzip.etag.empty())
        response.headers.emplace_back("Vary", "Accept-Encoding");
    if (file.type.starts_with("text/html"))
        add_page_headers(response, request.secure, bridge_of(request.path));
    if (status == 200 && has_tag(request.headers.get("If-None-Match"), body->etag)) {
        response.status = 304;
        return response;
    }
    if (!coding.empty()) response.headers.emplace_back("Content-Encoding", coding);
    response.body = body->bytes;
    return response;
}

std::optional<api::Response> WebFiles::answer(const net::Request& request) const {
    const std::string_view path = request.path;
    if (files_.empty() || !path.starts_with('/')) return std::nullopt;
    if (request.method != "GET" && request.method != "HEAD") return std::nullopt;
    if (const auto found = files_.find(path); found != files_.end() && path != page_name)
        return respond(found->second, request, 200);
    const File& page = files_.find(page_name)->second;
    if (is_page(path)) return respond(page, request, 200);
    const bool wants_page = request.headers.get("Accept").find("text/html") != std::string::npos;
    if (!wants_page || path.starts_with("/v1/")) return std::nullopt;
    return respond(page, request, 404);
}

}  // namespace cocoon::server
