// The certificates that an SEV-SNP host holds for its chip, in the table that comes with a report
// (GHCB specification, AMD 56421, 4.1.8.1): VCEK or VLEK, ASK, ARK. Called by node's collectors;
// pure, any thread. Proves nothing: what is in it is judged with the report. Must not know files or
// devices.
#pragma once

#include "attestation/snp.hpp"

namespace cocoon::attestation {

// What the table names and we know, as DER (hosts fill in DER or PEM). A table of zeros is empty.
// `malformed_request` when an entry points outside the table or holds no such object.
Result<SnpCollateral> read_snp_table(ByteView table);

}  // namespace cocoon::attestation
