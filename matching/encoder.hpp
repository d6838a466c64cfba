// Writers and readers of the binary form, one template per shape, driven by COCOON_FIELDS. Used by
// codec.cpp and, with a hashing sink, by the state hash. Internal to matching/.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "matching/commands.hpp"
#include "matching/events.hpp"

namespace cocoon::matching::wire {

template <class T>
concept HasFields = requires(T& value) {
    value.fields();
};
template <class T>
struct is_id : std::false_type {};
template <class Tag>
struct is_id<Id<Tag>> : std::true_type {};
template <class T>
struct is_vector : std::false_type {};
template <class T>
struct is_vector<std::vector<T>> : std::true_type {};
template <class T>
struct is_list : std::false_type {};
template <class T>
struct is_list<List<T>> : std::true_type {};
template <class T>
struct is_optional : std::false_type {};
template <class T>
struct is_optional<std::optional<T>> : std::true_type {};
template <class T>
struct is_array : std::false_type {};
template <class T, std::size_t N>
struct is_array<std::array<T, N>> : std::true_type {};
template <class T>
struct is_variant : std::false_type {};
template <class... T>
struct is_variant<std::variant<T...>> : std::true_type {};
template <class T>
struct is_pair : std::false_type {};
template <class A, class B>
struct is_pair<std::pair<A, B>> : std::true_type {};
template <class>
inline constexpr bool unsupported = false;

// One past the last enumerator: a byte beyond it is refused.
constexpr std::uint8_t count_of(Bucket) { return bucket_count; }
constexpr std::uint8_t count_of(Tier) { return tier_count; }
constexpr std::uint8_t count_of(AccountKind) { return 5; }
constexpr std::uint8_t count_of(MarketKind) { return 2; }
constexpr std::uint8_t count_of(OfferState) { return 4; }
constexpr std::uint8_t count_of(TimeInForce) { return 2; }
constexpr std::uint8_t count_of(RequestState) { return 7; }
constexpr std::uint8_t count_of(JobState) { return 6; }
constexpr std::uint8_t count_of(PayoutState) { return 6; }
constexpr std::uint8_t count_of(NodeOutcome) { return 3; }
constexpr std::uint8_t count_of(Constraint) { return 27; }
constexpr std::uint8_t count_of(MeasurementState) { return 3; }
constexpr std::uint8_t count_of(Standing) { return 4; }

// Sink needs: void bytes(const void*, size_t), void byte(uint8_t).
template <class Sink>
void put_varint(Sink& sink, std::uint64_t value) {
    while (value >= 0x80) {
        sink.byte(static_cast<std::uint8_t>(value | 0x80));
        value >>= 7;
    }
    sink.byte(static_cast<std::uint8_t>(value));
}

template <class Sink>
void put_signed(Sink& sink, std::int64_t value) {
    put_varint(sink,
               (static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63));
}

template <class Sink, class T>
void put(Sink& sink, const T& value) {
    if constexpr (std::is_same_v<T, bool>)
        sink.byte(value ? 1 : 0);
    else if constexpr (std::is_enum_v<T>)
        sink.byte(static_cast<std::uint8_t>(value));
    else if constexpr (std::is_integral_v<T> && std::is_signed_v<T>)
        put_signed(sink, value);
    else if constexpr (std::is_integral_v<T>)
        put_varint(sink, value);
    else if constexpr (is_id<T>::value)
        put_varint(sink, value.value);
    else if constexpr (std::is_same_v<T, Nano>)
        put_signed(sink, value.value);
    else if constexpr (std::is_same_v<T, Instant> || std::is_same_v<T, Duration>)
        put_signed(sink, value.us);
    else if constexpr (std::is_same_v<T, Digest>)
        sink.bytes(value.data(), value.size());
    else if constexpr (std::is_same_v<T, std::string>) {
        put_varint(sink, value.size());
        sink.bytes(value.data(), value.size());
    } else if constexpr (is_vector<T>::value || is_list<T>::value) {
        put_varint(sink, value.size());
        for (const auto& item : value) put(sink, item);
    } else if constexpr (is_array<T>::value) {
        for (const auto& item : value) put(sink, item);
    } else if constexpr (is_optional<T>::value) {
        sink.byte(value ? 1 : 0);
        if (value) put(sink, *value);
    } else if constexpr (is_pair<T>::value) {
        put(sink, value.first);
        put(sink, value.second);
    } else if constexpr (is_variant<T>::value) {
        sink.byte(static_cast<std::uint8_t>(value.index()));
        std::visit([&](const auto& alternative) { put(sink, alternative); }, value);
    } else if constexpr (HasFields<const T>) {
        std::apply([&](const auto&... field) { (put(sink, field), ...); }, value.fields());
    } else {
        static_assert(unsupported<T>, "no binary form for this type");
    }
}

struct StringSink {
    std::string& out;
    void byte(std::uint8_t value) { out.push_back(static_cast<char>(value)); }
    void bytes(const void* data, std::size_t size) {
        out.append(static_cast<const char*>(data), size);
    }
};

// Reads front to back; once something is wrong it stays failed and yields zeros.
class Reader {
public:
    explicit Reader(std::string_view bytes) : rest_{bytes} {}

    bool ok() const { return ok_; }
    bool finished() const { return ok_ && rest_.empty(); }
    void fail() {
        ok_ = false;
        rest_ = {};
    }

    std::uint8_t byte() {
        if (rest_.empty()) return fail(), 0;
        const auto value = static_cast<std::uint8_t>(rest_.front());
        rest_.remove_prefix(1);
        return value;
    }
    std::string_view take(std::uint64_t size) {
        if (size > rest_.size()) return fail(), std::string_view{};
        const std::string_view taken = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return taken;
    }
    // One spelling for each value: no padding bytes, no bits beyond 64.
    std::uint64_t varint() {
        std::uint64_t value = 0;
        for (int shift = 0; shift < 64; shift += 7) {
            const std::uint8_t part = byte();
            if (!ok_ || (shift == 63 && part > 1) || (part == 0 && shift > 0)) return fail(), 0;
            value |= static_cast<std::uint64_t>(part & 0x7f) << shift;
            if (part < 0x80) return value;
        }
        return fail(), 0;
    }
    std::int64_t signed_varint() {
        const std::uint64_t value = varint();
        return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
    }
    // A count of things of at least one byte each: never larger than what is left.
    std::uint64_t count() {
        const std::uint64_t value = varint();
        if (value > rest_.size()) return fail(), 0;
        return value;
    }

private:
    std::string_view rest_;
    bool ok_ = true;
};

template <class T>
void get(Reader& reader, T& value);

template <class Variant, std::size_t I = 0>
void get_alternative(Reader& reader, std::size_t index, Variant& value) {
    if constexpr (I < std::variant_size_v<Variant>) {
        if (index == I) return get(reader, value.template emplace<I>());
        get_alternative<Variant, I + 1>(reader, index, value);
    } else {
        reader.fail();
    }
}

template <class T>
void get(Reader& reader, T& value) {
    if constexpr (std::is_same_v<T, bool>) {
        const std::uint8_t byte = reader.byte();
        if (byte > 1) reader.fail();
        value = byte == 1;
    } else if constexpr (std::is_enum_v<T>) {
        const std::uint8_t byte = reader.byte();
        if (byte >= count_of(T{})) return reader.fail();
        value = static_cast<T>(byte);
    } else if constexpr (std::is_integral_v<T> && std::is_signed_v<T>) {
        const std::int64_t whole = reader.signed_varint();
        value = static_cast<T>(whole);
        if (value != whole) reader.fail();
    } else if constexpr (std::is_integral_v<T>) {
        const std::uint64_t whole = reader.varint();
        value = static_cast<T>(whole);
        if (value != whole) reader.fail();
    } else if constexpr (is_id<T>::value) {
        value.value = reader.varint();
        if (value.value > static_cast<std::uint64_t>(INT64_MAX)) reader.fail();
    } else if constexpr (std::is_same_v<T, Nano>) {
        value.value = reader.signed_varint();
    } else if constexpr (std::is_same_v<T, Instant> || std::is_same_v<T, Duration>) {
        value.us = reader.signed_varint();
    } else if constexpr (std::is_same_v<T, Digest>) {
        const std::string_view bytes = reader.take(value.size());
        if (reader.ok()) std::copy(bytes.begin(), bytes.end(), value.begin());
    } else if constexpr (std::is_same_v<T, std::string>) {
        value = reader.take(reader.varint());
    } else if constexpr (is_vector<T>::value) {
        const std::uint64_t count = reader.count();
        value.clear();
        for (std::uint64_t i = 0; i < count && reader.ok(); ++i) get(reader, value.emplace_back());
    } else if constexpr (is_list<T>::value) {
        std::vector<typename T::value_type> items;
        get(reader, items);
        value = items;
    } else if constexpr (is_array<T>::value) {
        for (auto& item : value) get(reader, item);
    } else if constexpr (is_optional<T>::value) {
        bool present = false;
        get(reader, present);
        if (present)
            get(reader, value.emplace());
        else
            value.reset();
    } else if constexpr (is_pair<T>::value) {
        get(reader, value.first);
        get(reader, value.second);
    } else if constexpr (is_variant<T>::value) {
        get_alternative(reader, reader.byte(), value);
    } else if constexpr (HasFields<T>) {
        std::apply([&](auto&... field) { (get(reader, field), ...); }, value.fields());
    } else {
        static_assert(unsupported<T>, "no binary form for this type");
    }
}

}  // namespace cocoon::matching::wire
