// What a bundle rests on and until when each piece lasts, so that somebody can be told before it
// ends. Called by whoever accepted the bundle (the market, people's tools); pure, any thread.
// Judges nothing: says what the pieces say of themselves, genuine or not.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "attestation/bundle.hpp"
#include "core/time.hpp"

namespace cocoon::attestation {

struct Lifetime {
    std::string what;  // for people: "Intel's TCB info of the family 90c06f000000"
    Instant begins, ends;

    bool operator==(const Lifetime&) const = default;
};

// Signed collateral, revocation lists and certificates that can be read, each once, the first to
// end first. OCSP answers are left out: they live for hours and are asked for each time.
std::vector<Lifetime> lifetimes(const Bundle& bundle);

// The first to end of those that live for at least `life_min`.
std::optional<Lifetime> first_to_end(const Bundle& bundle, Duration life_min);

}  // namespace cocoon::attestation
