// Which evidence challenges were used: a nonce proves something once. Called by the evidence route
// on worker threads; any thread. One for each process: after a restart nothing is remembered, and
// the nonces of the process before are refused by their tag. Must not know what evidence is.
#pragma once

#include <cstddef>
#include <mutex>
#include <unordered_map>

#include "api/secrets.hpp"
#include "core/ids.hpp"
#include "core/result.hpp"
#include "core/time.hpp"

namespace cocoon::api {

// Nodes that submit evidence within one life of a challenge: then 503 overloaded.
constexpr std::size_t challenged_nodes_max = 100'000;
// Submissions of one node in one window: then 429 rate_limited. Judging evidence is public-key work
// for strangers, up to half a second of it; an honest node submits once in hours.
constexpr std::uint32_t submissions_per_node_max = 60;
constexpr Duration submissions_window = minutes(10);

class UsedChallenges {
public:
    explicit UsedChallenges(std::size_t nodes_max = challenged_nodes_max) : nodes_max_{nodes_max} {}

    // Takes a challenge of `node` for one submission, for good: whatever becomes of the evidence,
    // neither this nonce nor an older one of the node's is good again. `submission` identifies a
    // call that was sent with an Idempotency-Key (all zero: without): that very call may come
    // again. `verdict_refused` naming /nonce with nonce_expired, nonce_of_older_process or
    // nonce_used; `overloaded` beyond `nodes_max` nodes within one life of a challenge;
    // `rate_limited` beyond `submissions_per_node_max`, repeated calls included.
    Result<void> take(NodeId node, const OwnChallenge& challenge,
                      const matching::Digest& submission, Instant at);

private:
    struct Taken {
        Instant issued_at, expires_at;
        matching::Digest submission{};
        Instant window_from;
        std::uint32_t submissions = 0;  // since then
    };

    void forget_expired(Instant at);

    const std::size_t nodes_max_;
    std::mutex mutex_;
    std::unordered_map<NodeId, Taken> newest_;  // of each node that used one lately
};

// The refusal of a nonce: `verdict_refused` with "code: text" at /nonce.
Error refused_nonce(std::string_view code, std::string_view text);

}  // namespace cocoon::api
