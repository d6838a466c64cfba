// Where evidence comes from: one provider for each kind of machine. Called by attestor on its
// thread. A provider turns 64 bytes of report data into the machine's own proof; it must not know
// keysets, nonces or the market. Real hardware is in hardware_evidence.hpp.
#pragma once

#include <memory>
#include <string>

#include "attestation/verdict.hpp"
#include "node/settings.hpp"

namespace cocoon::node {

class EvidenceProvider {
public:
    virtual ~EvidenceProvider() = default;
    virtual std::string tier() const = 0;
    // May take a while (a quote is tens of milliseconds). `internal_error` when the machine
    // refuses.
    virtual Result<attestation::Evidence> collect(const attestation::ReportData& report_data,
                                                  Instant at) = 0;
};

// The labelled tier that proves nothing about hardware.
class SimulatedEvidenceProvider final : public EvidenceProvider {
public:
    // An empty `measurement` is replaced by program_measurement().
    SimulatedEvidenceProvider(std::string platform_id, std::string measurement);
    std::string tier() const override;
    Result<attestation::Evidence> collect(const attestation::ReportData& report_data,
                                          Instant at) override;

private:
    const std::string platform_id_;
    const std::string measurement_;
};

// SHA-256 of this program's own file, padded with zeros to the length of an MRTD (96 hex
// characters).
std::string program_measurement();

// The provider that `settings` names.
std::unique_ptr<EvidenceProvider> make_evidence_provider(const Settings& settings);

}  // namespace cocoon::node
