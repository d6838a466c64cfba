// Seeds for the fuzzer of what is said of a node's evidence.
#include "sealing/canonical_json.hpp"
#include "sealing/ohttp.hpp"
#include "sealing/signing.hpp"
#include "sealing/statement.hpp"
#include "tests/attestation/seeds.hpp"
#include "tests/attestation/tdx_maker.hpp"
#include "attestation/bundle.hpp"
#include "trust/aci_report.hpp"
#include "trust/node_evidence.hpp"

using namespace cocoon;
using namespace cocoon::attestation::test;

TEST_CASE("seeds for the fuzzer of nodes' evidence", "[.seeds]") {
    sealing::Keyset parts;
    parts.receipt_keys = {{"r1", sealing::SigningKey::generate().public_key()}};
    parts.sealing_keys = {
        {"s1", sealing::ohttp::make_key_config(1, sealing::SealingKey::generate().public_key())}};
    parts.not_after = tdx_made_at + hours(12);
    const auto keyset = sealing::build_keyset(parts).value();
    attestation::Bundle bundle;
    bundle.cpu = attestation::TdxPart{make_tdx().quote, {}};
    const std::string text = attestation::write_bundle(bundle);
    const std::string nonce(64, '7');
    save_seed("trust_evidence_fuzz", "evidence",
              as_bytes(sealing::Json::object({{"tier", "tdx"},
                                              {"nonce", nonce},
                                              {"keyset_document", keyset.document},
                                              {"evidence", to_base64(as_bytes(text))}})
                           .serialize()));
    const attestation::Evidence evidence{"tdx", {text.begin(), text.end()}};
    save_seed("trust_evidence_fuzz", "aci_report",
              as_bytes(trust::make_aci_report(keyset, nonce, evidence, {}).value()));
}
