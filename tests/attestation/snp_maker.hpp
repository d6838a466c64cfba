// Makes SEV-SNP evidence that verifies, under a PKI of the test's own, and lets a test spoil one
// thing of it before it is signed.
#pragma once

#include <algorithm>
#include <functional>

#include "attestation/snp.hpp"
#include "tests/attestation/pki_maker.hpp"

namespace cocoon::attestation::test {

struct SnpShape {
    SnpProduct product = SnpProduct::genoa;
    bool vlek = false;
    std::uint32_t version = 3;
    std::function<void(Bytes& report)> edit_report;  // before it is signed
    std::function<void(CertificateParts& key, CertificateParts& signer, CertificateParts& root)>
        edit_certificates;
    std::function<void(RevocationListParts&)> edit_list;
};

struct SnpEvidence {
    Bytes report;
    SnpCollateral collateral;
    SnpPolicy policy;  // under which it is acceptable
};

inline const Instant snp_made_at = *Instant::parse("2026-11-22T12:00:00Z");
constexpr std::int64_t snp_signer_serial = 2;

// One set of keys a process, made by the first call: RSA for the authorities as AMD has it, or a
// curve where many signatures have to be made.
struct SnpKeys {
    Key root, signer;
    Key key{KeyKind::p384};

    explicit SnpKeys(KeyKind authorities) : root{authorities}, signer{authorities} {}
    static const SnpKeys& get(KeyKind authorities = KeyKind::rsa) {
        static const SnpKeys keys{authorities};
        return keys;
    }
};

inline Bytes der_integer(std::uint8_t value) {
    return value < 0x80 ? Bytes{2, 1, value} : Bytes{2, 2, 0, value};
}
inline Bytes der_text(std::string_view text) {
    Bytes out{0x16, static_cast<std::uint8_t>(text.size())};
    out.insert(out.end(), text.begin(), text.end());
    return out;
}

constexpr SnpTcb snp_made_tcb(SnpProduct product) {
    return product == SnpProduct::turin ? SnpTcb{1, 5, 2, 6, 200} : SnpTcb{0, 10, 1, 24, 219};
}

inline void put_little(Bytes& out, std::size_t at, std::uint64_t value, std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) out[at + i] = static_cast<std::uint8_t>(value >> 8 * i);
}

inline void put_tcb(Bytes& report, std::size_t at, const SnpTcb& tcb, SnpProduct product) {
    const bool turin = product == SnpProduct::turin;
    const SnpTcbVersion version =
        turin ? SnpTcbVersion{tcb.fmc, tcb.bootloader, tcb.tee, tcb.snp, 0, 0, 0, tcb.microcode}
              : SnpTcbVersion{tcb.bootloader, tcb.tee, 0, 0, 0, 0, tcb.snp, tcb.microcode};
    std::copy(version.begin(), version.end(), report.begin() + static_cast<std::ptrdiff_t>(at));
}

inline Bytes snp_chip(SnpProduct product) {
    Bytes chip(product == SnpProduct::turin ? 8 : 64);
    for (std::size_t i = 0; i < chip.size(); ++i) chip[i] = static_cast<std::uint8_t>(i + 1);
    return chip;
}

inline Bytes unsigned_snp_report(const SnpShape& shape) {
    Bytes report(snp_report_bytes);
    put_little(report, 0x000, shape.version, 4);
    put_little(report, 0x008, 0x30037, 8);  // ABI 0.55, SMT, the bit that is always set
    put_little(report, 0x034, 1, 4);
    for (const std::size_t at : {0x038, 0x180, 0x1E0, 0x1F0})
        put_tcb(report, at, snp_made_tcb(shape.product), shape.product);
    put_little(report, 0x040, 0x25, 8);
    put_little(report, 0x048, shape.vlek ? 1 << 2 : 0, 4);
    for (std::size_t i = 0; i < 64; ++i) report[0x050 + i] = static_cast<std::uint8_t>(0xA0 ^ i);
    std::fill_n(report.begin() + 0x090, 48, 0xC3);
    if (shape.version >= 3) {
        report[0x188] = shape.product == SnpProduct::turin ? 0x1A : 0x19;
        report[0x189] = shape.product == SnpProduct::genoa ? 0x11 : 0x01;
    }
    const Bytes chip = shape.vlek ? Bytes{} : snp_chip(shape.product);
    std::copy(chip.begin(), chip.end(), report.begin() + 0x1A0);
    if (shape.edit_report) shape.edit_report(report);
    return report;
}

// Replaces the signature by the right one over what now stands before it.
inline void sign_snp_report(Bytes& report, const Key& key = SnpKeys::get().key) {
    const Bytes raw = key.sign_raw(ByteView{report}.first(snp_signed_bytes));
    const std::size_t half = raw.size() / 2;
    std::fill(report.begin() + snp_signed_bytes, report.end(), 0);
    std::reverse_copy(raw.begin(), raw.begin() + static_cast<std::ptrdiff_t>(half),
                      report.begin() + 0x2A0);
    std::reverse_copy(raw.begin() + static_cast<std::ptrdiff_t>(half), raw.end(),
                      report.begin() + 0x2E8);
}

inline CertificateParts snp_key_certificate(const SnpShape& shape) {
    const std::string product{to_text(shape.product)};
    const SnpTcb tcb = snp_made_tcb(shape.product);
    const std::string oid = "1.3.6.1.4.1.3704.1.";
    CertificateParts parts{shape.vlek ? "SEV-VLEK" : "SEV-VCEK",
                           0,
                           snp_made_at - days(30),
                           snp_made_at + days(300),
                           "",
                           "",
                           {}};
    parts.extensions = {{oid + "1", der_integer(1)},
                        {oid + "2", der_text(product + "-B0")},
                        {oid + "3.1", der_integer(tcb.bootloader)},
                        {oid + "3.2", der_integer(tcb.tee)},
                        {oid + "3.3", der_integer(tcb.snp)},
                        {oid + "3.8", der_integer(tcb.microcode)}};
    if (shape.product == SnpProduct::turin)
        parts.extensions.emplace_back(oid + "3.9", der_integer(tcb.fmc));
    if (shape.vlek)
        parts.extensions.emplace_back(oid + "5", der_text("CN=cloud.example"));
    else
        parts.extensions.emplace_back(oid + "4", snp_chip(shape.product));
    return parts;
}

inline SnpEvidence make_snp(const SnpShape& shape = {}) {
    const SnpKeys& keys = SnpKeys::get();
    const std::string product{to_text(shape.product)};
    CertificateParts key = snp_key_certificate(shape);
    CertificateParts signer{(shape.vlek ? "SEV-VLEK-" : "SEV-") + product,
                            snp_signer_serial,
                            snp_made_at - days(400),
                            snp_made_at + days(4000),
                            "critical,CA:TRUE,pathlen:0",
                            "critical,keyCertSign",
                            {}};
    CertificateParts root{"ARK-" + product,
                          1,
                          snp_made_at - days(500),
                          snp_made_at + days(5000),
                          "critical,CA:TRUE",
                          "critical,keyCertSign,cRLSign",
                          {}};
    const std::string signer_name = signer.common_name, root_name = root.common_name;
    if (shape.edit_certificates) shape.edit_certificates(key, signer, root);
    RevocationListParts list{7, snp_made_at - days(1), snp_made_at + days(29), {1000}};
    if (shape.edit_list) shape.edit_list(list);

    SnpEvidence made;
    made.report = unsigned_snp_report(shape);
    sign_snp_report(made.report);
    made.collateral = {make_certificate(key, keys.key, signer_name, keys.signer),
                       make_certificate(signer, keys.signer, root_name, keys.root),
                       make_certificate(root, keys.root, root_name, keys.root),
                       make_revocation_list(list, root_name, keys.root)};
    const auto made_root = Certificate::from_der(made.collateral.root_certificate);
    made.policy.roots = {{shape.product, made_root->public_key().spki_sha256()}};
    made.policy.products = {shape.product};
    made.policy.vlek_allowed = shape.vlek;
    return made;
}

}  // namespace cocoon::attestation::test
