// HTTP messages as plain data (RFC 9110), shared by the server and the client side of net/.
// Owned text only: a message may be handed to any thread. Knows nothing of sockets.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cocoon::net {

struct Header {
    std::string name;
    std::string value;
};

// Header fields in order of arrival. Lookup ignores case; a repeated field is kept as it came.
class Headers {
public:
    Headers() = default;
    Headers(std::initializer_list<Header> fields) : fields_{fields} {}

    // The first field with this name, or nullptr.
    const std::string* find(std::string_view name) const;
    // The first field's value, or "".
    std::string_view get(std::string_view name) const;
    std::vector<std::string_view> all(std::string_view name) const;
    bool contains(std::string_view name) const { return find(name) != nullptr; }

    void add(std::string name, std::string value) {
        fields_.push_back({std::move(name), std::move(value)});
    }
    // Replaces every field with this name by one.
    void set(std::string_view name, std::string value);
    void remove(std::string_view name);

    auto begin() const { return fields_.begin(); }
    auto end() const { return fields_.end(); }
    std::size_t size() const { return fields_.size(); }
    void reserve(std::size_t count) { fields_.reserve(count); }

private:
    std::vector<Header> fields_;
};

// Everything before the body.
struct RequestHead {
    std::string method;  // as sent: "GET"
    std::string target;  // as sent: "/v1/offers?limit=5"
    std::string path;    // "/v1/offers", still percent-encoded; starts with '/', or is "*"
    std::string query;   // "limit=5", raw, without the '?'
    Headers headers;
    std::string remote_address;  // "192.0.2.7" or "2001:db8::1", without port
    std::string id;              // X-Request-Id if it was [A-Za-z0-9_-]{1,64}, else made here
    bool websocket = false;      // asks for an upgrade to a WebSocket (RFC 6455 §4.2.1)
    bool secure = false;         // came over TLS
};

struct Request : RequestHead {
    std::string body;  // empty when the body is streamed (Decision::stream)
};

// Content-Length, Transfer-Encoding, Connection, Date and X-Request-Id are the server's own
// business; such fields in `headers` are dropped. A field with CR, LF or NUL in it is dropped, too.
struct Response {
    int status = 200;
    Headers headers;
    std::string body;
};

// Whether both texts are the same apart from ASCII case.
bool same_ignoring_case(std::string_view a, std::string_view b);
// The standard reason phrase, or "Status".
std::string_view reason_of(int status);

}  // namespace cocoon::net
