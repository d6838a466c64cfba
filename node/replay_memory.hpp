// Which sealed requests and reservations this process has seen, so that nobody plays one twice.
// Called by exchange, any thread. Encapsulated keys are remembered until the keyset they were
// sealed to ends; when the memory is full of living ones, new requests are refused rather than old
// ones forgotten. Must not know what a request says.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/limits.hpp"
#include "core/result.hpp"
#include "core/time.hpp"
#include "sealing/signing.hpp"

namespace cocoon::node {

class ReplayMemory {
public:
    explicit ReplayMemory(std::size_t entries_max = limits::replay_cache_entries_max)
        : entries_max_{entries_max} {}

    // Refuses `sealed_message_invalid` when `encapsulated_key` was seen before, `overloaded` when
    // full.
    Result<void> admit(const sealing::PublicKey& encapsulated_key,
                       const std::string& keyset_digest);
    // The other keysets have ended: their messages cannot be opened any more.
    void forget_keysets_except(const std::vector<std::string>& living_digests);

    // Fencing tokens of a job only rise: refuses `stale_fencing_token`. A job that is no session is
    // answered once for each token: refuses `wrong_state` after answered().
    Result<void> admit_job(const std::string& job, std::uint64_t fencing_token, bool session,
                           Instant expires_at);
    void answered(const std::string& job, std::uint64_t fencing_token);
    void forget_jobs(Instant at);

    std::size_t entries() const;

private:
    struct KeyHash {
        std::size_t operator()(const sealing::PublicKey& key) const noexcept;
    };
    struct JobState {
        std::uint64_t fencing_token = 0;
        bool answered = false;
        Instant expires_at;
    };
    std::size_t entries_locked() const;

    const std::size_t entries_max_;
    mutable std::mutex mutex_;
    std::unordered_map<std::string, std::unordered_set<sealing::PublicKey, KeyHash>>
        seen_;  // by keyset
    std::unordered_map<std::string, JobState> jobs_;
};

}  // namespace cocoon::node
