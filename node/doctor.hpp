// `cocoon-node doctor`: what is missing on this host, check by check, each with its reason and its
// remedy. Called by main's doctor command and tests; blocking. Looks at the machine through a root
// directory, so that tests can show it any machine. Changes nothing anywhere.
#pragma once

#include <string>
#include <vector>

#include "core/result.hpp"
#include "core/time.hpp"
#include "node/settings.hpp"

namespace cocoon::node {

enum class Health { pass, warn, fail };
std::string_view to_text(Health health);  // "PASS", "WARN", "FAIL"

struct Check {
    std::string name;  // stable: "engine.generates"
    Health health = Health::pass;
    std::string found;   // what is there
    std::string remedy;  // what to do; empty when it passed
};

struct Examination {
    std::vector<Check> checks;
    bool fit() const;  // no check failed
};

// Only the machine: TEE devices, GPU, kernel, memory lock, disk. `tier` decides what is a failure:
// a simulated node needs no hardware. `root` is "" for the real machine.
std::vector<Check> examine_host(const std::string& root, std::string_view tier);
// Everything: configuration, files, market, clock, engine (really generates a token), host.
Examination examine(const Result<Settings>& settings, const std::string& root, const Clock& clock);

// For people, and as one JSON object.
std::string report_text(const Examination& examination);
std::string report_json(const Examination& examination);

}  // namespace cocoon::node
