// How evidence was judged, counted for /metrics: verdicts by tier and status, and what evidence
// that was not proven failed by. Any thread. Labels are closed sets and no word of a peer's: a tier
// that is not known counts as "other", and reasons are codes of attestation/ without device
// numbers.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>

#include "attestation/policy.hpp"
#include "attestation/verdict.hpp"

namespace cocoon::server {

class EvidenceTally {
public:
    static constexpr std::size_t kinds_max = 256;  // of reasons; further ones count as "other"
    // Kind and outcome of a reason.
    using Reasons = std::map<std::pair<std::string, std::string_view>, std::uint64_t>;

    // A verdict, each time that evidence is judged.
    void note(const attestation::Verdict& verdict);

    // Tiers in the order of attestation::all_tiers, then "other".
    static std::string_view tier_name(std::size_t tier);
    static constexpr std::size_t tier_count = attestation::all_tiers.size() + 1;
    std::uint64_t verdicts(std::size_t tier, attestation::Status status) const {
        return verdicts_[tier][static_cast<std::size_t>(status)].load(std::memory_order_relaxed);
    }
    Reasons reasons() const;

private:
    std::array<std::array<std::atomic<std::uint64_t>, 3>, tier_count> verdicts_{};
    mutable std::mutex mutex_;
    Reasons reasons_;
};

}  // namespace cocoon::server
