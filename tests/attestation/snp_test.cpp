// SEV-SNP under a PKI of the test's own: what verifies, and a row for each thing that must not.
#include <cstdio>
#include <cstdlib>
#include <random>

#include "tests/attestation/snp_maker.hpp"
#include "tests/attestation/reasons.hpp"
#include "tests/catch.hpp"

using namespace cocoon;
using namespace cocoon::attestation;
using namespace cocoon::attestation::test;

namespace {

SnpResult judged(const SnpEvidence& evidence, Instant at = snp_made_at) {
    return verify_snp(evidence.report, evidence.collateral, evidence.policy, at);
}

std::string failed(const SnpResult& result) { return codes(result.reasons, Outcome::failed); }
std::string refused(const SnpResult& result) {
    return codes(result.policy_reasons, Outcome::failed);
}

using EditReport = std::function<void(Bytes&)>;
EditReport put(std::size_t at, std::uint8_t value) {
    return [=](Bytes& report) { report[at] = value; };
}

SnpEvidence made_with(EditReport edit) {
    SnpShape shape;
    shape.edit_report = std::move(edit);
    return make_snp(shape);
}

}  // namespace

TEST_CASE("SEV-SNP: each product, each kind of key and each version of the report verifies") {
    for (const SnpProduct product : {SnpProduct::milan, SnpProduct::genoa, SnpProduct::turin})
        for (const bool vlek : {false, true})
            for (const std::uint32_t version : {2u, 3u, 4u, 5u}) {
                SnpShape shape;
                shape.product = product;
                shape.vlek = vlek;
                shape.version = version;
                const SnpEvidence evidence = make_snp(shape);
                const SnpResult result = judged(evidence);
                INFO(to_text(product) << (vlek ? " VLEK" : " VCEK") << " version " << version
                                      << ": " << failed(result) << refused(result));
                REQUIRE(result.acceptable());
                CHECK(result.product == product);
                CHECK(result.product_name == std::string{to_text(product)} + "-B0");
                CHECK(result.vlek == vlek);
                CHECK(result.cloud == (vlek ? "CN=cloud.example" : ""));
                CHECK(result.platform_id == (vlek ? "" : to_hex(sha256(snp_chip(product)))));
                CHECK(result.report->version == version);
                CHECK(to_hex(result.report->measurement).substr(0, 4) == "c3c3");
                CHECK(result.valid_until == snp_made_at + days(29));  // the list ends first
                CHECK(result.revocation_number == std::string(39, '0') + "7");
            }
}

TEST_CASE("each thing that is wrong with an SEV-SNP report has its own code") {
    struct Row {
        const char* code;
        EditReport edit;  // before it is signed
    };
    const Row rows[] = {
        {"report_version", put(0x000, 1)},
        {"report_version", put(0x000, 6)},
        {"report_version", put(0x003, 1)},
        {"signature_algorithm", put(0x034, 0)},
        {"signature_algorithm", put(0x037, 1)},
        {"signing_key", put(0x048, 7 << 2)},
        {"signing_key", put(0x048, 2 << 2)},
        {"certificate_role", put(0x048, 1 << 2)},  // says VLEK, the key is a VCEK
        {"product", put(0x188, 0x1A)},
        {"product", put(0x189, 0x01)},
        {"product", put(0x188, 0x17)},
        {"reported_tcb", put(0x180, 11)},  // claims more
        {"reported_tcb", put(0x187, 1)},   // claims less
        {"chip_id", put(0x1A0, 9)},
        {"chip_id", [](Bytes& report) { std::fill_n(report.begin() + 0x1A0, 64, 0); }},
    };
    for (const Row& row : rows) {
        const SnpResult result = judged(made_with(row.edit));
        INFO(row.code);
        CHECK(failed(result) == row.code);
        CHECK(result.status == Status::refuted);
        CHECK(result.valid_until == Instant{});
        CHECK_FALSE(result.acceptable());
    }
}

TEST_CASE("what follows the signature, or lies about its size, is no signature") {
    const SnpEvidence good = make_snp();
    struct Row {
        const char* code;
        EditReport edit;  // after it was signed
    };
    const Row rows[] = {
        {"report_format", put(snp_report_bytes - 1, 1)},
        {"report_format", put(0x330, 1)},
        {"report_format", [](Bytes& report) { report.pop_back(); }},
        {"report_format", [](Bytes& report) { report.push_back(0); }},
        {"report_format", [](Bytes& report) { report.clear(); }},
        {"report_signature", put(0x2A0 + 48, 1)},  // r beyond a scalar
        {"report_signature", put(0x2E8 + 71, 1)},
        {"report_signature", [](Bytes& r) { std::fill(r.begin() + 0x2A0, r.end(), 0); }},
        {"report_signature",
         [](Bytes& r) { std::reverse(r.begin() + 0x2A0, r.begin() + 0x2A0 + 48); }},
        {"report_signature", put(0x050, 0)},
        {"report_signature", put(0x29F, 1)},
        {"report_signature", [](Bytes& r) { sign_snp_report(r, Key{KeyKind::p384}); }},
    };
    for (const Row& row : rows) {
        SnpEvidence evidence = good;
        row.edit(evidence.report);
        INFO(row.code);
        const SnpResult result = judged(evidence);
        CHECK(failed(result) == row.code);
        CHECK_FALSE(result.report.has_value());  // nothing is claimed
    }
}

TEST_CASE("each thing that is wrong with SEV-SNP certificates has its own code") {
    using Edit = std::function<void(CertificateParts&, CertificateParts&, CertificateParts&)>;
    struct Row {
        const char* codes;
        Edit edit;
    };
    using Parts = CertificateParts;
    const auto drop = [](Parts& parts, const std::string& tail) {
        std::erase_if(parts.extensions, [&](const auto& entry) {
            return entry.first == "1.3.6.1.4.1.3704.1." + tail;
        });
    };
    const auto set = [=](Parts& parts, const std::string& tail, Bytes octets) {
        drop(parts, tail);
        parts.extensions.emplace_back("1.3.6.1.4.1.3704.1." + tail, std::move(octets));
    };
    const Row rows[] = {
        {"certificate_expired",
         [](Parts& key, Parts&, Parts&) { key.not_after = snp_made_at - seconds(1); }},
        {"certificate_not_yet_valid",
         [](Parts&, Parts& signer, Parts&) { signer.not_before = snp_made_at + seconds(1); }},
        {"certificate_expired",
         [](Parts&, Parts&, Parts& root) { root.not_after = snp_made_at - seconds(1); }},
        {"not_a_ca", [](Parts&, Parts& signer, Parts&) { signer.basic_constraints.clear(); }},
        {"leaf_is_a_ca",
         [](Parts& key, Parts&, Parts&) { key.basic_constraints = "critical,CA:TRUE"; }},
        {"path_length", [](Parts&, Parts&,
                           Parts& root) { root.basic_constraints = "critical,CA:TRUE,pathlen:0"; }},
        {"key_usage", [](Parts&, Parts& signer, Parts&) { signer.key_usage = "critical,cRLSign"; }},
        {"key_usage", [](Parts& key, Parts&, Parts&) { key.key_usage = "critical,keyAgreement"; }},
        {"chain_order", [](Parts&, Parts& signer, Parts&) { signer.common_name = "SEV-Turin"; }},
        {"certificate_role", [](Parts& key, Parts&, Parts&) { key.common_name = "SEV-VLEK"; }},
        {"product", [=](Parts& key, Parts&, Parts&) { set(key, "2", der_text("Milan-B0")); }},
        {"product", [=](Parts& key, Parts&, Parts&) { drop(key, "2"); }},
        {"reported_tcb", [=](Parts& key, Parts&, Parts&) { drop(key, "3.3"); }},
        {"reported_tcb",
         [=](Parts& key, Parts&, Parts&) {
             set(key, "3.8", {2, 1, 219});
         }},
        {"reported_tcb",
         [=](Parts& key, Parts&, Parts&) {
             set(key, "3.1", {2, 2, 0, 10});
         }},
        {"reported_tcb", [=](Parts& key, Parts&, Parts&) { set(key, "3.4", der_integer(1)); }},
        {"chip_id", [=](Parts& key, Parts&, Parts&) { drop(key, "4"); }},
        {"chip_id", [=](Parts& key, Parts&, Parts&) { set(key, "4", Bytes(8, 1)); }},
    };
    for (const Row& row : rows) {
        SnpShape shape;
        shape.edit_certificates = row.edit;
        INFO(row.codes);
        CHECK(failed(judged(make_snp(shape))) == row.codes);
    }
    SnpShape wrapped;  // the hardware id as other tools write it: inside an OCTET STRING
    wrapped.edit_certificates = [=](Parts& key, Parts&, Parts&) {
        Bytes octets{4, 64};
        const Bytes chip = snp_chip(SnpProduct::genoa);
        octets.insert(octets.end(), chip.begin(), chip.end());
        set(key, "4", octets);
    };
    CHECK(judged(make_snp(wrapped)).acceptable());
    SnpShape bergamo;
    bergamo.edit_certificates = [=](Parts& key, Parts&, Parts&) {
        set(key, "2", der_text("Bergamo"));
    };
    bergamo.edit_report = put(0x189, 0xA1);
    CHECK(judged(make_snp(bergamo)).acceptable());
}

TEST_CASE("an SEV-SNP chain in another order, with another member or of another root is refused") {
    const SnpEvidence good = make_snp();
    SnpShape turin_shape;
    turin_shape.product = SnpProduct::turin;
    const SnpEvidence turin = make_snp(turin_shape);
    struct Row {
        const char* code;
        std::function<void(SnpEvidence&)> edit;
    };
    const Row rows[] = {
        {"root_not_pinned", [](SnpEvidence& e) { e.policy.roots = snp_production_roots(); }},
        {"root_not_pinned", [](SnpEvidence& e) { e.policy.roots.clear(); }},
        {"root_not_pinned",
         [](SnpEvidence& e) {
             std::swap(e.collateral.signer_certificate, e.collateral.root_certificate);
         }},
        {"chain_order",
         [](SnpEvidence& e) {
             std::swap(e.collateral.key_certificate, e.collateral.signer_certificate);
         }},
        {"chain_order",
         [&](SnpEvidence& e) {
             e.collateral.signer_certificate = turin.collateral.signer_certificate;
         }},
        {"certificate_format", [](SnpEvidence& e) { e.collateral.key_certificate.push_back(0); }},
        {"certificate_format", [](SnpEvidence& e) { e.collateral.root_certificate = {1}; }},
        {"certificate_signature",
         [](SnpEvidence& e) { e.collateral.signer_certificate.back() ^= 1; }},
        // The same keys, but the pin says that they are another product's.
        {"certificate_role", [](SnpEvidence& e) { e.policy.roots[0].product = SnpProduct::milan; }},
    };
    for (const Row& row : rows) {
        SnpEvidence evidence = good;
        row.edit(evidence);
        const SnpResult result = judged(evidence);
        INFO(row.code << " in " << failed(result));
        CHECK((" " + failed(result) + " ").find(std::string{" "} + row.code + " ") !=
              std::string::npos);
        CHECK(result.status == Status::refuted);
    }
}

TEST_CASE("validity of an SEV-SNP chain is closed at both ends") {
    const SnpEvidence evidence = make_snp();
    SnpEvidence no_list = evidence;
    no_list.collateral.revocation_list.clear();
    no_list.policy.revocation_required = false;
    CHECK(judged(no_list, snp_made_at - days(30)).acceptable());
    CHECK(failed(judged(no_list, snp_made_at - days(30) - seconds(1))) ==
          "certificate_not_yet_valid");
    CHECK(judged(no_list, snp_made_at + days(300)).acceptable());
    CHECK(judged(no_list).valid_until == snp_made_at + days(300));
    CHECK(failed(judged(no_list, snp_made_at + days(300) + seconds(1))) == "certificate_expired");
    CHECK(judged(evidence, snp_made_at + days(29)).acceptable());
}

TEST_CASE("missing SEV-SNP collateral leaves the status unknown, neither proven nor refuted") {
    const SnpEvidence good = make_snp();
    struct Row {
        const char* code;
        std::function<void(SnpCollateral&)> edit;
    };
    const Row rows[] = {
        {"certificate_chain", [](SnpCollateral& c) { c.key_certificate.clear(); }},
        {"certificate_chain", [](SnpCollateral& c) { c.signer_certificate.clear(); }},
        {"certificate_chain", [](SnpCollateral& c) { c.root_certificate.clear(); }},
        {"certificate_chain", [](SnpCollateral& c) { c = {}; }},
        {"revocation_missing", [](SnpCollateral& c) { c.revocation_list.clear(); }},
    };
    for (const Row& row : rows) {
        SnpEvidence evidence = good;
        row.edit(evidence.collateral);
        const SnpResult result = judged(evidence);
        INFO(row.code);
        CHECK(result.status == Status::unknown);
        CHECK(failed(result).empty());
        CHECK(codes(result.reasons, Outcome::not_checked) == row.code);
        CHECK(result.valid_until == Instant{});
        CHECK_FALSE(result.acceptable());
    }
}

TEST_CASE(
    "SEV-SNP revocation lists: current, the root's, not older than one seen, without the signer") {
    struct Row {
        const char* code;
        std::function<void(RevocationListParts&)> edit;
    };
    const Row rows[] = {
        {"certificate_revoked",
         [](RevocationListParts& list) {
             list.revoked = {5, snp_signer_serial};
         }},
        {"revocation_expired",
         [](RevocationListParts& list) { list.next_update = snp_made_at - seconds(1); }},
        {"revocation_not_yet_valid",
         [](RevocationListParts& list) { list.this_update = snp_made_at + minutes(2); }},
        {"revocation_rollback", [](RevocationListParts& list) { list.number = 6; }},
    };
    for (const Row& row : rows) {
        SnpShape shape;
        shape.edit_list = row.edit;
        SnpEvidence evidence = make_snp(shape);
        evidence.policy.roots[0].revocation_number_min = std::string(39, '0') + "7";
        INFO(row.code);
        CHECK(failed(judged(evidence)) == row.code);
    }
    SnpEvidence forged = make_snp();
    forged.collateral.revocation_list = make_revocation_list(
        {7, snp_made_at - days(1), snp_made_at + days(29), {}}, "ARK-Genoa", SnpKeys::get().signer);
    CHECK(failed(judged(forged)) == "revocation_signature");
    forged.collateral.revocation_list = {1, 2, 3};
    CHECK(failed(judged(forged)) == "revocation_format");
    // Somebody else's list says nothing about this chain.
    forged.collateral.revocation_list = make_revocation_list(
        {7, snp_made_at - days(1), snp_made_at + days(29), {}}, "ARK-Milan", SnpKeys::get().root);
    CHECK(judged(forged).status == Status::unknown);
    SnpShape may_not;
    may_not.edit_certificates = [](CertificateParts&, CertificateParts&, CertificateParts& root) {
        root.key_usage = "critical,keyCertSign";
    };
    CHECK(failed(judged(make_snp(may_not))) == "revocation_signature");
}

TEST_CASE(
    "each knob of the SEV-SNP policy refuses on its own, and says nothing about being genuine") {
    struct Row {
        const char* code;
        EditReport edit;
        std::function<void(SnpPolicy&)> policy;
    };
    const EditReport same = [](Bytes&) {};
    const auto keep = [](SnpPolicy&) {};
    const auto older = [](std::size_t at) { return put(at + 7, 83); };  // microcode
    const Row rows[] = {
        {"product_accepted", same, [](SnpPolicy& p) { p.products = {SnpProduct::turin}; }},
        {"report_version_min", same, [](SnpPolicy& p) { p.report_version_min = 4; }},
        {"debug", put(0x00A, 0x0B), keep},
        {"migrate_ma", put(0x00A, 0x07), keep},
        {"vmpl", put(0x030, 1), keep},
        {"smt", same, [](SnpPolicy& p) { p.smt_allowed = false; }},
        {"abi", same, [](SnpPolicy& p) { p.abi_minor_min = 0x38; }},
        {"abi", same, [](SnpPolicy& p) { p.abi_major_min = 1; }},
        {"guest_policy", same,
         [](SnpPolicy& p) { p.guest_policy_mask = p.guest_policy_value = 1u << 20; }},
        {"platform_info", same, [](SnpPolicy& p) { p.platform_info_mask = 1; }},
        {"mitigations", same, [](SnpPolicy& p) { p.mitigations_required = 1; }},
        {"committed_tcb_minimum", older(0x1E0), keep},
        {"launch_tcb_minimum", older(0x1F0), keep},
        {"reported_tcb_minimum committed_tcb_minimum launch_tcb_minimum", same,
         [](SnpPolicy& p) {
             p.tcb_minimums = {{SnpProduct::genoa, {0, 10, 1, 25, 219}}};
         }},
        {"id_key", same, [](SnpPolicy& p) { p.id_key_digests = {std::string(96, 'a')}; }},
        {"author_key", same, [](SnpPolicy& p) { p.author_key_digests = {std::string(96, 'a')}; }},
        {"platform", same,
         [](SnpPolicy& p) { p.platforms_denied = {to_hex(sha256(snp_chip(SnpProduct::genoa)))}; }},
        {"host_data", same, [](SnpPolicy& p) { p.host_data = {std::string(64, 'a')}; }},
    };
    for (const Row& row : rows) {
        SnpEvidence evidence = made_with(row.edit);
        row.policy(evidence.policy);
        const SnpResult result = judged(evidence);
        INFO(row.code << ", also " << failed(result));
        CHECK(result.status == Status::proven);
        CHECK(refused(result) == row.code);
        CHECK_FALSE(result.acceptable());
    }
    SnpShape vlek;
    vlek.vlek = true;
    SnpEvidence evidence = make_snp(vlek);
    evidence.policy.vlek_allowed = false;
    CHECK(refused(judged(evidence)) == "vlek");

    SnpShape mitigated;
    mitigated.version = 5;
    mitigated.edit_report = put(0x200, 3);
    evidence = make_snp(mitigated);
    evidence.policy.mitigations_required = 2;
    evidence.policy.host_data = {std::string(64, '0')};
    CHECK(judged(evidence).acceptable());
}

TEST_CASE("the SEV-SNP policy that stands by default has AMD's roots and refuses Milan") {
    SnpShape milan;
    milan.product = SnpProduct::milan;
    SnpEvidence evidence = make_snp(milan);
    const auto roots = evidence.policy.roots;
    evidence.policy = {};
    CHECK((" " + failed(judged(evidence)) + " ").find(" root_not_pinned ") != std::string::npos);
    evidence.policy.roots = roots;
    CHECK(refused(judged(evidence)) == "product_accepted");
}

// Any byte of the report, the certificates or the revocation list. The quick run samples;
// COCOON_LONG takes all of them.
TEST_CASE("SEV-SNP evidence with a byte flipped is never proven") {
    const char* wanted = std::getenv("COCOON_LONG");
    const bool all = wanted && *wanted;
    const std::uint32_t seed = std::random_device{}();
    std::printf("snp mutation seed %u%s\n", seed, all ? ", every byte" : "");
    std::mt19937 chance{seed};
    const SnpEvidence good = make_snp();
    const std::function<Bytes&(SnpEvidence&)> parts[] = {
        [](SnpEvidence& e) -> Bytes& { return e.report; },
        [](SnpEvidence& e) -> Bytes& { return e.collateral.key_certificate; },
        [](SnpEvidence& e) -> Bytes& { return e.collateral.signer_certificate; },
        [](SnpEvidence& e) -> Bytes& { return e.collateral.root_certificate; },
        [](SnpEvidence& e) -> Bytes& { return e.collateral.revocation_list; },
    };
    for (std::size_t part = 0; part < std::size(parts); ++part) {
        SnpEvidence evidence = good;
        Bytes& bytes = parts[part](evidence);
        for (std::size_t i = 0; i < bytes.size(); ++i) {
            if (!all && chance() % 8 != 0) continue;
            const auto flip = static_cast<std::uint8_t>(1u << chance() % 8);
            bytes[i] ^= flip;
            const SnpResult result = judged(evidence);
            INFO("part " << part << " byte " << i << " flip " << int{flip} << " seed " << seed);
            CHECK(result.status != Status::proven);
            CHECK(result.valid_until == Instant{});
            bytes[i] ^= flip;
        }
    }
    CHECK(judged(good).acceptable());
}
