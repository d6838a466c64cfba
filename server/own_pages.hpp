// Whether a browser sent a request for one of our own pages, and the session it carries. A cookie
// travels with whatever makes a browser call us, so it counts only for what our pages asked. Called
// by admission and dispatch on the I/O thread; pure functions. Must not know who a session is.
#pragma once

#include <string_view>

#include "net/http.hpp"

namespace cocoon::server {

// No form and no plain link can set it, and no other origin's script without our leave
// (Access-Control-Allow-Headers, which never names it).
constexpr std::string_view session_header = "X-Session";

// The cookie's value. Empty without one, and when there are two of the name: somebody planted one.
std::string_view cookie_of(const net::Headers& headers, std::string_view name);

// For methods that change something: the header above, and an origin that is ours by every field
// that names one (Sec-Fetch-Site, Origin), of which there must be one. `own_origin`: as configured,
// "https://market.example".
bool from_own_pages(const net::RequestHead& head, std::string_view own_origin);
// For reads: nothing says that another site asked.
bool may_be_own_pages(const net::RequestHead& head, std::string_view own_origin);

}  // namespace cocoon::server
