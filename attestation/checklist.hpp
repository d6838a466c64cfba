// The checks of one verifier, in the order they ran, and the status that follows from them. Called
// by the verifiers of this folder; one verification owns it. Must not know what is checked.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "attestation/verdict.hpp"

namespace cocoon::attestation {

class Checklist {
public:
    // One check under its stable code. Returns `passed`, for those that cannot go on without it.
    bool check(std::string_view code, bool passed, std::string good, std::string bad) {
        reasons_.push_back({std::string{code}, passed ? Outcome::passed : Outcome::failed,
                            passed ? std::move(good) : std::move(bad)});
        return passed;
    }
    void fail(std::string_view code, std::string why) { check(code, false, {}, std::move(why)); }

    // A check that had to be made and could not, because its collateral is missing.
    void missing(std::string_view code, std::string why) {
        complete_ = false;
        skipped(code, std::move(why));
    }
    // A check that the policy does not ask for.
    void skipped(std::string_view code, std::string why) {
        reasons_.push_back({std::string{code}, Outcome::not_checked, std::move(why)});
    }

    // Another list's checks, each code after `prefix`.
    void adopt(const std::string& prefix, const Checklist& other) {
        for (const Reason& reason : other.reasons_)
            reasons_.push_back({prefix + reason.code, reason.outcome, reason.text});
        complete_ = complete_ && other.complete_;
    }

    // One failed check refutes, one missing check leaves it unknown, else it is proven.
    Status status() const {
        const bool failed = std::any_of(reasons_.begin(), reasons_.end(), [](const Reason& reason) {
            return reason.outcome == Outcome::failed;
        });
        return failed ? Status::refuted : complete_ ? Status::proven : Status::unknown;
    }
    const std::vector<Reason>& reasons() const { return reasons_; }
    std::vector<Reason> take_reasons() { return std::move(reasons_); }

private:
    std::vector<Reason> reasons_;
    bool complete_ = true;
};

}  // namespace cocoon::attestation
