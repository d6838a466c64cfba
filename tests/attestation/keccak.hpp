// Keccak-256 as Ethereum hashes addresses: the Keccak submission's padding 0x01, where SHA3-256
// (FIPS 202) has 0x06. OpenSSL 3.0 does not have it. Called by the binding vectors only.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <utility>

#include "core/encoding.hpp"

namespace cocoon::attestation::vectors {

using KeccakState = std::array<std::uint64_t, 25>;  // the lane of x, y is x + 5y

// The steps of FIPS 202, 3.2, in its names.
inline void keccak_permute(KeccakState& state) {
    std::uint8_t constants = 1;  // the shift register that makes iota's constants
    for (int round = 0; round < 24; ++round) {
        std::array<std::uint64_t, 5> parity{};  // theta
        for (int i = 0; i < 25; ++i) parity[i % 5] ^= state[i];
        for (int i = 0; i < 25; ++i)
            state[i] ^= parity[(i + 4) % 5] ^ std::rotl(parity[(i + 1) % 5], 1);
        std::uint64_t carried = state[1];  // rho and pi, along pi's one cycle
        for (int step = 0, x = 1, y = 0; step < 24; ++step) {
            x = std::exchange(y, (2 * x + 3 * y) % 5);
            carried = std::exchange(state[x + 5 * y],
                                    std::rotl(carried, (step + 1) * (step + 2) / 2 % 64));
        }
        for (int y = 0; y < 25; y += 5) {  // chi
            const std::array row{state[y], state[y + 1], state[y + 2], state[y + 3], state[y + 4]};
            for (int x = 0; x < 5; ++x)
                state[y + x] = row[x] ^ (~row[(x + 1) % 5] & row[(x + 2) % 5]);
        }
        for (int j = 0; j < 7; ++j) {  // iota
            if (constants & 1) state[0] ^= std::uint64_t{1} << ((1 << j) - 1);
            constants = static_cast<std::uint8_t>(constants << 1 ^ (constants & 0x80 ? 0x71 : 0));
        }
    }
}

inline std::array<std::uint8_t, 32> keccak256(ByteView message) {
    constexpr std::size_t rate = 136;
    Bytes padded{message.begin(), message.end()};
    padded.push_back(0x01);
    padded.resize((padded.size() + rate - 1) / rate * rate);
    padded.back() |= 0x80;
    KeccakState state{};
    for (std::size_t block = 0; block < padded.size(); block += rate) {
        for (std::size_t i = 0; i < rate; ++i)
            state[i / 8] ^= std::uint64_t{padded[block + i]} << (i % 8 * 8);
        keccak_permute(state);
    }
    std::array<std::uint8_t, 32> digest{};
    for (std::size_t i = 0; i < digest.size(); ++i)
        digest[i] = static_cast<std::uint8_t>(state[i / 8] >> (i % 8 * 8));
    return digest;
}

}  // namespace cocoon::attestation::vectors
