// The HTTP contract's own words: a call that came in, the answer that goes out, who is calling.
// Plain structs; server/ fills them from sockets, tests from literals. No Asio, no JSON type, no
// SQL.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/error.hpp"
#include "core/time.hpp"
#include "matching/commands.hpp"

namespace cocoon::api {

using Header = std::pair<std::string, std::string>;

enum class Method { get, post, put, patch, remove };

// Who is calling, as admission established it. A call without credentials has no account.
struct Principal {
    AccountId account;
    matching::AccountKind kind = matching::AccountKind::developer;
    KeyId key;
    NodeId node;  // only with scope_node
    matching::ScopeSet scopes = 0;
    bool session = false;  // known by a cookie, which a browser adds by itself
    bool has(matching::ScopeSet wanted) const { return (scopes & wanted) != 0; }
};

struct Call {
    Method method = Method::get;
    std::string path;                   // decoded
    std::vector<std::string> captured;  // the {…} parts of the route, in order
    std::string query;                  // raw, after '?'
    std::vector<Header> headers;
    std::string body;
    Principal principal;
    Instant at;  // when the call arrived
    std::string request_id;
    std::string entropy;  // 64 random bytes of this call: secrets and nonces are made from it
    // The caller's address as a number (IPv6: its /64), for counting alone; 0: unknown.
    std::uint64_t address_bucket = 0;

    std::string_view header(std::string_view name) const;  // case-insensitive; empty if absent
};

struct Response {
    int status = 200;
    std::vector<Header> headers;
    std::string content_type = "application/json";
    std::string body;
};

// problem+json for a refusal (RFC 9457): type, title, status, detail, code, errors[], request_id.
Response problem(const Error& error, std::string_view request_id);

}  // namespace cocoon::api
