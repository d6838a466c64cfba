// Reads DER (ITU-T X.690) one element at a time, as certificate extensions of evidence need it: low
// tag numbers, definite lengths in their shortest form. Called by the verifiers of this folder, on
// any thread. Must not know any structure.
#pragma once

#include <cstdint>
#include <optional>

#include "attestation/reader.hpp"
#include "core/encoding.hpp"

namespace cocoon::attestation {

struct DerElement {
    std::uint8_t tag = 0;  // identifier octet: class, constructed or not, number
    ByteView value;
};

namespace der {

constexpr std::uint8_t integer = 0x02;
constexpr std::uint8_t octet_string = 0x04;
constexpr std::uint8_t object_identifier = 0x06;
constexpr std::uint8_t utf8_string = 0x0C;
constexpr std::uint8_t ia5_string = 0x16;
constexpr std::uint8_t sequence = 0x30;
// Context-specific tag numbers.
constexpr std::uint8_t context(std::uint8_t number) { return 0x80 | number; }
constexpr std::uint8_t context_constructed(std::uint8_t number) { return 0xA0 | number; }

}  // namespace der

// The next element, which `in` is moved past; nothing if there is none or it is not such DER.
inline std::optional<DerElement> take_der(Reader& in) {
    DerElement out;
    out.tag = in.little<std::uint8_t>();
    std::size_t size = in.little<std::uint8_t>();
    if (size >= 0x80) {
        const std::size_t octets = size & 0x7F;
        if (octets == 0 || octets > 3) return std::nullopt;
        size = 0;
        for (std::size_t i = 0; i < octets; ++i) size = size << 8 | in.little<std::uint8_t>();
        if (size < 0x80 || size >> (8 * (octets - 1)) == 0) return std::nullopt;
    }
    out.value = in.take(size);
    if (!in.ok() || (out.tag & 0x1F) == 0x1F) return std::nullopt;
    return out;
}

// The next element if it has this tag.
inline std::optional<ByteView> take_der(Reader& in, std::uint8_t tag) {
    const auto element = take_der(in);
    if (!element || element->tag != tag) return std::nullopt;
    return element->value;
}

}  // namespace cocoon::attestation
