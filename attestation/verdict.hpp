// The one entry to attestation: evidence + what it must bind + policy + instant -> verdict. Pure:
// no clock, no network, no database. Called by market (worker threads) and client; node makes
// evidence. Must not know keysets or statements: the caller computes the 64 bytes the evidence must
// carry.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "attestation/collateral_seen.hpp"
#include "core/encoding.hpp"
#include "core/result.hpp"
#include "core/time.hpp"

namespace cocoon::attestation {

constexpr std::size_t evidence_bytes_max = 640 << 10;  // eight GPUs with all their collateral

using ReportData = std::array<std::uint8_t, 64>;

// `proven`: every check passed. `refuted`: a check failed. `unknown`: we cannot tell (no verifier
// for this kind of evidence); treat it as not proven.
enum class Status { proven, refuted, unknown };
std::string_view to_text(Status status);

enum class Outcome { passed, failed, not_checked };
std::string_view to_text(Outcome outcome);

struct Reason {
    std::string code;  // stable, snake_case: "simulated_signature", "report_data", "age", ...
    Outcome outcome;
    std::string text;  // for people: what was found and what to do
    bool operator==(const Reason&) const = default;
};

struct Verdict {
    Status status = Status::unknown;
    std::string tier;         // as claimed by the evidence: "tdx+gpu-cc", "snp", "simulated"
    std::string measurement;  // lower-case hex; empty unless the evidence's signature was right
    // What the measurement is made of: "tdx.mrtd:<hex>", "snp.measurement:<hex>"; ascending.
    std::vector<std::string> registers;
    std::string platform_id;           // of the CPU: one machine for ever
    std::string family;                // of the CPU: Intel's FMSPC; empty elsewhere
    std::vector<std::string> devices;  // GPUs and switches, in the order of the evidence
    // The same devices by their certificates, where `devices` has a name for life: the vendor's own
    // judgement knows them by nothing else. So a device is one, whichever way it is shown.
    std::vector<std::string> device_certificates;
    std::uint32_t gpus = 0;  // of the devices those that are no switches
    std::string tcb_status;  // in the vendor's words: "UpToDate", or AMD's versions
    std::vector<std::string> advisory_ids;
    CollateralSeen seen;
    std::vector<Reason> reasons;  // every check that ran, in order
    Instant valid_until;          // 0 unless proven

    bool proven() const { return status == Status::proven; }
    // The first failed reason, or nullptr.
    const Reason* first_failure() const;
};

// Whether everything that failed is the age of firmware, or of collateral: what was fine before
// newer collateral came. Anything else (revoked, denied, another machine) refutes at once.
bool only_out_of_date(const Verdict& verdict);

// Whether everything that failed is the age of collateral: newer collateral could mend it, so that
// a vendor that is down leaves open what the machine is worth. Never so for what was revoked.
bool only_old_collateral(const Verdict& verdict);

// A reason's code without its device's number ("gpu_3_nonce": "gpu_nonce"): a closed set, for
// counts.
std::string kind_of(std::string_view reason_code);

struct Policy;  // what is acceptable, as data: attestation/policy.hpp

struct Evidence {
    std::string tier;
    Bytes bytes;  // opaque here; the tier's verifier knows the format
};

// The verdict; refused itself (`body_too_large`) only when the evidence exceeds evidence_bytes_max.
Result<Verdict> verify(const Evidence& evidence, const ReportData& expected_report_data,
                       const Policy& policy, Instant at);

}  // namespace cocoon::attestation
