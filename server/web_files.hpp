// The pages of web/, as built: read once at start, served from memory, so that no request ever
// names a file. Called by dispatch for paths that are no route of the API; immutable after load,
// any thread. Knows neither the pages nor the API behind them: which paths are pages stands in the
// built folder itself (pages.txt, one first segment a line), and so does which of them may reach
// another site (bridges.txt, "/wallet/name https://bridge.example/path/" a line).
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "api/http.hpp"
#include "net/http.hpp"

namespace cocoon::server {

// A larger folder refuses the start: all of it is kept in memory.
constexpr std::size_t web_files_max = 512;
constexpr std::size_t web_bytes_max = 32u << 20;

class WebFiles {
public:
    // No pages: every answer is nothing.
    WebFiles() = default;
    // Reads `folder` with all below it. FILE.br and FILE.gz are FILE, compressed. `origin` is ours,
    // "https://market.example"; tonconnect-manifest.json says it wherever {origin} is written.
    // Throws std::runtime_error when it is not a built web/ or exceeds web_files_max or
    // web_bytes_max.
    static WebFiles load(const std::string& folder, std::string_view origin = {});

    // The file of a GET or HEAD (304 where the caller has it), or the application's page for its
    // own paths; for any other path outside /v1/ the same page with 404 where the caller takes
    // HTML, so that a person who mistypes an address sees a page. Nothing: not ours to answer.
    std::optional<api::Response> answer(const net::Request& request) const;

    std::size_t files() const { return files_.size(); }

private:
    // One way in which a file travels; empty where it does not.
    struct Body {
        std::string bytes;
        std::string etag;  // strong, so each encoding has its own (RFC 9110 §8.8.3.3)
    };
    struct File {
        std::string_view type;
        bool hashed = false;  // its name holds its hash: never changes
        Body plain, brotli, gzip;
    };

    // A file that is read here and never answered; empty without one.
    std::string take(std::string_view name);
    bool is_page(std::string_view path) const;
    // The one other site that the document at `path` may speak to; empty: none.
    std::string_view bridge_of(std::string_view path) const;
    api::Response respond(const File& file, const net::Request& request, int status) const;

    std::map<std::string, File, std::less<>> files_;           // by path, "/assets/index-Ab12.js"
    std::set<std::string, std::less<>> pages_;                 // first segments: "markets"
    std::map<std::string, std::string, std::less<>> bridges_;  // by the first two: "/wallet/name"
};

// Whether an Accept-Encoding field takes this coding (RFC 9110 §12.5.3): named, and not with q=0.
bool accepts_coding(std::string_view accept_encoding, std::string_view coding);

}  // namespace cocoon::server
