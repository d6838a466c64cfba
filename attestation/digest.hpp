// SHA-256 and SHA-384 (FIPS 180-4), the two hashes that evidence uses. Called by the verifiers of
// this folder, on any thread. Must not know what is hashed.
#pragma once

#include <array>
#include <cstdint>

#include "core/encoding.hpp"

namespace cocoon::attestation {

enum class Hash { sha256, sha384 };

using Digest256 = std::array<std::uint8_t, 32>;
using Digest384 = std::array<std::uint8_t, 48>;

Digest256 sha256(ByteView bytes);
Digest384 sha384(ByteView bytes);

}  // namespace cocoon::attestation
