// What tests ask of a verifier's list of checks.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "attestation/verdict.hpp"

namespace cocoon::attestation::test {

// Codes with this outcome, in order, each once, separated by spaces.
inline std::string codes(const std::vector<Reason>& reasons, Outcome outcome) {
    std::string out, last;
    for (const Reason& reason : reasons) {
        if (reason.outcome != outcome || reason.code == last) continue;
        last = reason.code;
        out += (out.empty() ? "" : " ") + reason.code;
    }
    return out;
}

inline bool has(const std::vector<Reason>& reasons, std::string_view code, Outcome outcome) {
    return std::any_of(reasons.begin(), reasons.end(), [&](const Reason& reason) {
        return reason.code == code && reason.outcome == outcome;
    });
}

inline std::string text_of(const std::vector<Reason>& reasons) {
    std::string text;
    for (const Reason& reason : reasons)
        text +=
            reason.code + " " + std::string{to_text(reason.outcome)} + ": " + reason.text + "\n";
    return text;
}

}  // namespace cocoon::attestation::test
