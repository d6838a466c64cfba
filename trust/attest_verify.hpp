// `attest verify`: a verdict repeated by hand, offline, as a page for people or one JSON document,
// with the exit code by the verdict. The same sub-command of cocoon-client and cocoon-market; any
// thread. Reads the files that its arguments name and nothing else.
#pragma once

#include <vector>

#include "core/command_line.hpp"
#include "trust/node_evidence.hpp"

namespace cocoon::trust {

// --evidence, --collateral, --policy, --at, --json.
std::vector<OptionSpec> attest_options();

// The evidence of --evidence under `policy`, or under --policy's instead. Exit codes: 0 accepted,
// exit_refused, exit_unknown: something could not be checked.
Output attest_verify(const Arguments& arguments, const attestation::Policy& policy);
// The same of evidence that is at hand.
Output attest_report(const Arguments& arguments, NodeEvidence evidence,
                     const attestation::Policy& policy);

Result<NodeEvidence> read_evidence_file(const std::string& path);

}  // namespace cocoon::trust
