#include "server/own_pages.hpp"

#include <string>

namespace cocoon::server {
namespace {

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

// The configured origin, or the one that the request itself was sent to: a page that another name
// serves is no danger, because its cookies are that name's.
bool is_own(const net::RequestHead& head, std::string_view origin, std::string_view own_origin) {
    if (origin == own_origin) return true;
    const std::string_view host = head.headers.get("Host");
    return !host.empty() && origin == (head.secure ? "https://" : "http://") + std::string{host};
}

}  // namespace

std::string_view cookie_of(const net::Headers& headers, std::string_view name) {
    std::string_view found;
    for (std::string_view rest : headers.all("Cookie")) {
        while (!rest.empty()) {
            const std::size_t end = rest.find(';');
            const std::string_view pair = trimmed(rest.substr(0, end));
            rest = end == std::string_view::npos ? std::string_view{} : rest.substr(end + 1);
            const std::size_t equals = pair.find('=');
            if (equals == std::string_view::npos || pair.substr(0, equals) != name) continue;
            if (!found.empty()) return {};
            found = pair.substr(equals + 1);
        }
    }
    return found;
}

bool from_own_pages(const net::RequestHead& head, std::string_view own_origin) {
    const std::string* site = head.headers.find("Sec-Fetch-Site");
    const std::string* origin = head.headers.find("Origin");
    if (head.headers.get(session_header) != "1" || (site == nullptr && origin == nullptr))
        return false;
    if (site != nullptr && *site != "same-origin") return false;
    return origin == nullptr || is_own(head, *origin, own_origin);
}

bool may_be_own_pages(const net::RequestHead& head, std::string_view own_origin) {
    const std::string* site = head.headers.find("Sec-Fetch-Site");
    const std::string* origin = head.headers.find("Origin");
    if (site != nullptr && *site != "same-origin" && *site != "none") return false;
    return origin == nullptr || is_own(head, *origin, own_origin);
}

}  // namespace cocoon::server
