#include "node/evidence.hpp"

#include <fstream>

#include "attestation/simulated.hpp"
#include "core/encoding.hpp"
#include "node/hardware_evidence.hpp"
#include "sealing/signing.hpp"

namespace cocoon::node {

SimulatedEvidenceProvider::SimulatedEvidenceProvider(std::string platform_id,
                                                     std::string measurement)
    : platform_id_{std::move(platform_id)},
      measurement_{measurement.empty() ? program_measurement() : std::move(measurement)} {}

std::string SimulatedEvidenceProvider::tier() const {
    return std::string{attestation::simulated_tier};
}

Result<attestation::Evidence> SimulatedEvidenceProvider::collect(
    const attestation::ReportData& report_data, Instant at) {
    attestation::SimulatedReport report;
    report.measurement = measurement_;
    report.platform_id = platform_id_;
    report.report_data = report_data;
    report.issued_at = Instant{at.unix_seconds() * 1'000'000};
    return attestation::make_simulated_evidence(report);
}

std::string program_measurement() {
    std::ifstream program{"/proc/self/exe", std::ios::binary};
    sealing::Sha256 hash;
    char buffer[64 << 10];
    while (program.read(buffer, sizeof buffer) || program.gcount() > 0)
        hash.update(as_bytes({buffer, static_cast<std::size_t>(program.gcount())}));
    std::string text = to_hex(hash.finish());
    text.resize(96, '0');
    return text;
}

std::unique_ptr<EvidenceProvider> make_evidence_provider(const Settings& settings) {
    if (settings.attestation_tier == attestation::simulated_tier)
        return std::make_unique<SimulatedEvidenceProvider>(settings.platform_id,
                                                           settings.measurement);
    return std::make_unique<HardwareEvidenceProvider>(settings.attestation_tier,
                                                      settings.collectors);
}

}  // namespace cocoon::node
