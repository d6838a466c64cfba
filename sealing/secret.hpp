// Bytes that nobody may find later: private keys, shared secrets, exporter secrets. Wiped when they
// are destroyed, replaced or moved from; never copied by accident, never printed.
// Any thread; one owner at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/encoding.hpp"

namespace cocoon::sealing {

// Overwrites `bytes` in a way the compiler keeps.
void wipe(std::span<std::uint8_t> bytes) noexcept;

// Whether both hold the same bytes; time depends on the lengths only.
bool equal_in_constant_time(ByteView a, ByteView b) noexcept;

class Secret {
public:
    Secret() = default;
    explicit Secret(std::size_t size) : bytes_(size) {}
    explicit Secret(ByteView bytes) : bytes_(bytes.begin(), bytes.end()) {}
    Secret(Secret&& other) noexcept : bytes_{std::move(other.bytes_)} {}
    Secret& operator=(Secret&& other) noexcept;
    Secret(const Secret&) = delete;
    Secret& operator=(const Secret&) = delete;
    ~Secret() { wipe(bytes_); }

    ByteView view() const noexcept { return bytes_; }
    std::span<std::uint8_t> writable() noexcept { return bytes_; }
    std::size_t size() const noexcept { return bytes_.size(); }
    // A second owner, where a key schedule really needs one.
    Secret copy() const { return Secret{view()}; }

private:
    std::vector<std::uint8_t> bytes_;  // never grows, so no unwiped remainder is left behind
};

}  // namespace cocoon::sealing
