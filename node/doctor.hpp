// `cocoon-node doctor`: what is missing on this host, check by check, each with its reason and its
// remedy. Called by main's doctor command and tests; blocking. Looks at the machine through a root
// directory, so that tests can show it any machine. Changes nothing anywhere.
#pragma once

#include <string>
#include <vector>

#include "core/result.hpp"
#include "core/time.hpp"
#include "node/check.hpp"
#include "node/settings.hpp"

namespace cocoon::node {

struct Examination {
    std::vector<Check> checks;
    bool fit() const;  // no check failed
};

// Only the machine: TEE devices, GPU, kernel, swap, memory lock. `tier` decides what is a failure:
// a simulated node needs no hardware. `root` is "" for the real machine.
std::vector<Check> examine_host(const std::string& root, std::string_view tier);
// Everything: configuration, files, market, clock, engine (really generates a token), host, and for
// real hardware its evidence (really made, doctor_evidence.hpp).
Examination examine(const Result<Settings>& settings, const std::string& root, const Clock& clock);

// For people, and as one JSON object.
std::string report_text(const Examination& examination);
std::string report_json(const Examination& examination);

}  // namespace cocoon::node
