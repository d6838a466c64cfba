// The node's calls to the market's HTTP API: enrolment, challenge, evidence, offers, drain.
// Blocking; called on the control thread of the agent and by main's commands. Answers are a peer's
// data: only what is needed is read, strictly. Must not know when to call what.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "attestation/verdict.hpp"
#include "core/result.hpp"
#include "net/http_client.hpp"
#include "node/settings.hpp"
#include "sealing/keyset.hpp"

namespace cocoon::node {

struct Identity {
    std::string node;        // "node_1"
    std::string credential;  // "ck_…"
};
// From the state directory; `not_found` (not enrolled), `forbidden` (file modes).
Result<Identity> load_identity(const Settings& settings);
Result<void> save_identity(const Settings& settings, const Identity& identity);

struct StandingOffer {
    std::string id;  // "off_1"
    std::string node, market, build, state;
    std::string version;  // for If-Match
    OfferSettings terms;  // price, slots, limits, windows, lists
    std::int64_t slots_used = 0;
};

class MarketApi {
public:
    // Without `credential` only enrol() and reach() work.
    MarketApi(const Settings& settings, std::string credential);

    // Errors of all: the market's own refusal with its code, or HttpClient's.
    Result<Identity> enrol(const Settings& settings, const std::string& token);
    Result<std::string> challenge(const std::string& node);
    // Our ACI report, for whoever waits under that ticket; `not_found`: nobody does any more.
    Result<void> post_report(const std::string& node, std::uint64_t ticket,
                             const std::string& report);
    // When the verdict ends. `verdict_refused` carries every reason in `fields`.
    Result<Instant> submit_evidence(const std::string& node, const sealing::Keyset& keyset,
                                    const std::string& nonce,
                                    const attestation::Evidence& evidence);
    // All offers of the provider that are not cancelled or expired.
    Result<std::vector<StandingOffer>> offers();
    Result<std::string> place_offer(const std::string& node, const OfferSettings& offer);  // its id
    Result<void> amend_offer(const StandingOffer& standing, const OfferSettings& wanted);
    Result<void> cancel_offer(const StandingOffer& standing);
    Result<void> drain(const std::string& node, bool draining);

    struct Reached {
        int status = 0;
        Duration round_trip;
        std::optional<Duration> clock_ahead;  // our clock minus the market's; none without a Date
    };
    Result<Reached> reach(const Clock& clock);

    void cancel() { token_.cancel(); }

private:
    Result<net::ClientResponse> send(const char* method, const std::string& path, std::string body,
                                     net::Headers headers = {});

    const std::string url_;
    const std::string credential_;
    net::HttpClient client_;
    net::CancelToken token_;
};

// Whether both would stand in the book the same way (what amend_offer can change and what it
// cannot).
bool same_terms(const OfferSettings& a, const OfferSettings& b);
// Whether `standing` can become `wanted` by amending; otherwise it must be cancelled and placed
// anew.
bool amendable(const OfferSettings& standing, const OfferSettings& wanted);

// RFC 9110 §5.6.7, IMF-fixdate only.
std::optional<Instant> parse_http_date(std::string_view text);

}  // namespace cocoon::node
