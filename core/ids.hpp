// Strong identifiers. Every id is a positive 64-bit number given by the lane in journal order, so a
// replay gives the same ids. On the wire an id carries its kind ("off_42"): ids of another kind are
// refused before anything is looked up, and JSON never sees a 64-bit number.
#pragma once

#include <charconv>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace cocoon {

template <class Tag>
struct Id {
    std::uint64_t value = 0;  // 0 means "none"

    explicit constexpr operator bool() const noexcept { return value != 0; }
    constexpr auto operator<=>(const Id&) const = default;

    std::string text() const { return std::string{Tag::prefix} + std::to_string(value); }

    // The id in `text`, or nothing if the prefix, the digits or the range are wrong.
    static std::optional<Id> parse(std::string_view text) {
        constexpr std::string_view prefix = Tag::prefix;
        if (!text.starts_with(prefix)) return std::nullopt;
        text.remove_prefix(prefix.size());
        if (text.empty() || text.front() == '0') return std::nullopt;
        Id id;
        const auto [end, failure] =
            std::from_chars(text.data(), text.data() + text.size(), id.value);
        if (failure != std::errc{} || end != text.data() + text.size()) return std::nullopt;
        if (id.value > static_cast<std::uint64_t>(INT64_MAX)) return std::nullopt;  // SQL bigint
        return id;
    }
};

struct AccountTag {
    static constexpr std::string_view prefix = "acc_";
};
struct KeyTag {
    static constexpr std::string_view prefix = "key_";
};
struct NodeTag {
    static constexpr std::string_view prefix = "node_";
};
struct MarketTag {
    static constexpr std::string_view prefix = "mkt_";
};
struct OfferTag {
    static constexpr std::string_view prefix = "off_";
};
struct RequestTag {
    static constexpr std::string_view prefix = "req_";
};
struct JobTag {
    static constexpr std::string_view prefix = "job_";
};
struct PayoutTag {
    static constexpr std::string_view prefix = "pay_";
};
struct DepositTag {
    static constexpr std::string_view prefix = "dep_";
};
struct WebhookTag {
    static constexpr std::string_view prefix = "hook_";
};
struct MeasurementTag {
    static constexpr std::string_view prefix = "meas_";
};
struct DenialTag {
    static constexpr std::string_view prefix = "deny_";
};

using AccountId = Id<AccountTag>;
using KeyId = Id<KeyTag>;
using NodeId = Id<NodeTag>;
using MarketId = Id<MarketTag>;
using OfferId = Id<OfferTag>;
using RequestId = Id<RequestTag>;
using JobId = Id<JobTag>;
using PayoutId = Id<PayoutTag>;
using DepositId = Id<DepositTag>;
using WebhookId = Id<WebhookTag>;
using MeasurementId = Id<MeasurementTag>;
using DenialId = Id<DenialTag>;

}  // namespace cocoon

template <class Tag>
struct std::hash<cocoon::Id<Tag>> {
    std::size_t operator()(cocoon::Id<Tag> id) const noexcept {
        return static_cast<std::size_t>(id.value * 0x9E3779B97F4A7C15ull);
    }
};
