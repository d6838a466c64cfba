#include "matching/types.hpp"

#include "matching/commands.hpp"
#include "matching/ranking.hpp"

namespace cocoon::matching {
namespace {

constexpr Wide million = 1'000'000;

// REQUIRES: micro >= 0, as prices and counts are.
Result<Nano> rounded_up(Wide micro) {
    if (micro <=
        INT64_MAX - 1'000'000)  // nearly always; a 128-bit division costs twenty times as much
        return Nano{
            static_cast<std::int64_t>((static_cast<std::uint64_t>(micro) + 999'999) / 1'000'000)};
    const Wide nano = (micro + (million - 1)) / million;
    if (nano > INT64_MAX)
        return refuse(ErrorCode::arithmetic_overflow, "The cost exceeds what an amount can hold.");
    return Nano{static_cast<std::int64_t>(nano)};
}

Wide whole_part(const PriceVector& price, const QuantityVector& quantity) {
    return (Wide{price.request.value} * quantity.requests +
            Wide{price.gpu_second.value} * quantity.gpu_seconds) *
           million;
}

template <std::size_t N>
std::string_view name_in(const std::array<std::string_view, N>& names, std::size_t index) {
    return index < N ? names[index] : std::string_view{"unknown"};
}

constexpr std::array<std::string_view, tier_count> tier_names{"simulated", "snp", "tdx",
                                                              "snp+gpu-cc", "tdx+gpu-cc"};

}  // namespace

Result<Nano> cost(const PriceVector& price, const QuantityVector& quantity) {
    return rounded_up(
        Wide{price.prompt.value} * quantity.prompt + Wide{price.cached.value} * quantity.cached +
        Wide{price.completion.value} * quantity.completion +
        Wide{price.reasoning.value} * quantity.reasoning + whole_part(price, quantity));
}

Result<Nano> cost_max(const PriceVector& price, const QuantityVector& quantity) {
    const Wide in = std::max(price.prompt.value, price.cached.value);
    const Wide out = std::max(price.completion.value, price.reasoning.value);
    return rounded_up(in * (Wide{quantity.prompt} + quantity.cached) +
                      out * (Wide{quantity.completion} + quantity.reasoning) +
                      whole_part(price, quantity));
}

bool within(const QuantityVector& usage, const QuantityVector& quantity) {
    return Wide{usage.prompt} + usage.cached <= Wide{quantity.prompt} + quantity.cached &&
           Wide{usage.completion} + usage.reasoning <=
               Wide{quantity.completion} + quantity.reasoning &&
           usage.requests <= quantity.requests && usage.gpu_seconds <= quantity.gpu_seconds;
}

std::string_view tier_name(Tier tier) {
    return name_in(tier_names, static_cast<std::size_t>(tier));
}

std::optional<Tier> tier_from_name(std::string_view name) {
    for (std::size_t i = 0; i < tier_count; ++i)
        if (tier_names[i] == name) return static_cast<Tier>(i);
    return std::nullopt;
}

#define COCOON_NAMES(Type, ...)                                                       \
    std::string_view name_of(Type value) {                                            \
        static constexpr auto names = std::to_array<std::string_view>({__VA_ARGS__}); \
        return name_in(names, static_cast<std::size_t>(value));                       \
    }
COCOON_NAMES(Bucket, "available", "held", "earned", "paying", "fees", "chain")
COCOON_NAMES(AccountKind, "house", "developer", "provider", "admin", "auditor")
COCOON_NAMES(MarketKind, "inference", "compute")
COCOON_NAMES(OfferState, "active", "paused", "cancelled", "expired")
COCOON_NAMES(TimeInForce, "immediate", "rest")
COCOON_NAMES(RequestState, "resting", "matched", "completed", "failed", "cancelled", "expired",
             "unmatched")
COCOON_NAMES(JobState, "reserved", "running", "completed", "failed", "cancelled", "expired")
COCOON_NAMES(PayoutState, "queued", "sent", "paid", "returned", "awaiting_approval", "rejected")
COCOON_NAMES(MeasurementState, "pending", "approved", "revoked")
COCOON_NAMES(Standing, "good", "measurement_pending", "measurement_revoked", "platform_denied")
COCOON_NAMES(Constraint, "build", "state", "node_away", "draining", "suspended", "evidence",
             "platform_denied", "measurement_revoked", "measurement_pending", "tier", "region",
             "country", "measurement", "gpu", "data_policy", "notice", "reputation", "context",
             "output", "schedule", "provider_list", "developer_list", "lost_node", "slots",
             "probation", "price_dimension", "price_total")
#undef COCOON_NAMES

}  // namespace cocoon::matching
