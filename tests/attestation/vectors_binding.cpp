// binding/cases.json: how services in use put a key and a nonce into their report data. The market
// has a scheme of its own (the ACI statement, sealing/statement.hpp); these are its peers'.
#include <openssl/evp.h>

#include <algorithm>
#include <map>

#include "attestation/digest.hpp"
#include "attestation/snp_report.hpp"
#include "attestation/tdx_quote.hpp"
#include "attestation/verdict.hpp"
#include "tests/attestation/keccak.hpp"
#include "tests/attestation/vectors.hpp"

namespace cocoon::attestation::vectors {
namespace {

namespace fs = std::filesystem;

Bytes joined(std::initializer_list<ByteView> parts) {
    Bytes out;
    for (const ByteView part : parts) out.insert(out.end(), part.begin(), part.end());
    return out;
}

ReportData padded(ByteView bytes) {
    ReportData data{};
    expect(bytes.size() <= data.size(), "the bound bytes are more than report data holds");
    std::copy(bytes.begin(), bytes.end(), data.begin());
    return data;
}

ReportData sha512(ByteView bytes) {
    ReportData digest{};
    expect(EVP_Digest(bytes.data(), bytes.size(), digest.data(), nullptr, EVP_sha512(), nullptr),
           "OpenSSL failed: SHA-512");
    return digest;
}

// An input that is of no use to the scheme: it binds nothing.
struct Unfit {};

// The inputs of a case by name.
struct Inputs {
    const Json& json;
    const fs::path& folder;

    bool has(const char* name) const { return json.contains(name) && !json[name].is_null(); }
    std::string text(const char* name) const {
        expect(has(name) && json[name].is_string(), std::string{"the case has no "} + name);
        return json[name];
    }
    Bytes hex(const char* name) const {
        const std::string value = text(name);
        return hex_bytes(value.starts_with("0x") ? value.substr(2) : value);
    }
    Bytes field(const char* name, std::size_t size) const {
        Bytes value = hex(name);
        if (value.size() != size) throw Unfit{};
        return value;
    }
    // A hash of 32 bytes and, where the case has the evidence itself, whether it is that hash.
    bool hash_is_of(const char* hash, const char* file) const {
        if (!has(hash) || !has(file)) return true;
        const Digest256 digest = sha256(read_file(folder / text(file)));
        const Bytes wanted = field(hash, digest.size());
        return std::equal(wanted.begin(), wanted.end(), digest.begin(), digest.end());
    }
};

// Whether this report data binds what the inputs say, for a client that asked with its nonce.
using Scheme = bool (*)(const Inputs&, const ReportData&);

bool tinfoil(const Inputs& inputs, const ReportData& found) {
    Bytes bound = joined(
        {inputs.field("tls_key_fp", 32), inputs.field("hpke_key", 32), inputs.field("nonce", 32)});
    for (const char* hash : {"gpu_evidence_hash", "nvswitch_evidence_hash"})
        if (inputs.has(hash)) bound = joined({bound, inputs.field(hash, 32)});
    return found == padded(sha256(bound)) &&
           (!inputs.has("client_nonce") || inputs.hex("client_nonce") == inputs.hex("nonce")) &&
           inputs.hash_is_of("gpu_evidence_hash", "gpu_json") &&
           inputs.hash_is_of("nvswitch_evidence_hash", "nvswitch_json");
}

bool near(const Inputs& inputs, const ReportData& found) {
    const Bytes address = inputs.hex("signing_address");
    if (address.size() != 20 && address.size() != 32) throw Unfit{};
    const Digest256 key = sha256(joined({address, inputs.field("tls_cert_fingerprint", 32)}));
    return found == padded(joined({key, inputs.field("client_nonce", 32)}));
}

bool ethereum_address(const Inputs& inputs, const ReportData& found) {
    const Bytes key = inputs.field("signing_public_key", 65);
    const auto digest = keccak256(ByteView{key}.subspan(1));
    const ByteView address = ByteView{digest}.subspan(12);
    const bool named =
        !inputs.has("signing_address") ||
        std::equal(address.begin(), address.end(), inputs.field("signing_address", 20).begin());
    return key[0] == 4 && named &&
           found == padded(joined({address, Bytes(12), inputs.field("client_nonce", 32)}));
}

// Only the first half is bound.
bool chutes(const Inputs& inputs, const ReportData& found) {
    const std::string text = inputs.text("client_nonce") + inputs.text("e2e_pubkey_base64");
    const Digest256 digest = sha256(as_bytes(text));
    return std::equal(digest.begin(), digest.end(), found.begin());
}

bool cocoon_ra_tls(const Inputs& inputs, const ReportData& found) {
    return found == sha512(inputs.field("ed25519_public_key", 32));
}

bool dstack_ra_tls(const Inputs& inputs, const ReportData& found) {
    return found == sha512(joined({as_bytes("ratls-cert:"), inputs.hex("spki_der")}));
}

const std::map<std::string, Scheme> schemes{
    {"tinfoil-v3", tinfoil},
    {"near", near},
    {"dstack-ethereum-address", ethereum_address},
    {"chutes", chutes},
    {"cocoon-ra-tls", cocoon_ra_tls},
    {"dstack-ra-tls", dstack_ra_tls},
};

// What the evidence itself says; the recorded value where a case has no evidence.
ReportData report_data_of(const fs::path& folder, const Json& test) {
    if (!test.contains("evidence") || test["evidence"].is_null())
        return padded(hex_bytes(test.at("report_data")));
    const Bytes evidence = read_file(folder / test["evidence"].get<std::string>());
    if (test.at("evidence_kind") == "snp") {
        const auto report = parse_snp_report(evidence);
        expect(report.has_value(), "the SNP report cannot be read");
        return report->report_data;
    }
    const auto quote = parse_tdx_quote(evidence);
    expect(quote.has_value(), "the TDX quote cannot be read");
    return quote->report.report_data;
}

void run_case(const fs::path& folder, const Json& test) {
    const auto scheme = schemes.find(test.at("scheme"));
    expect(scheme != schemes.end(), "no such scheme: " + test.at("scheme").dump());
    const ReportData found = report_data_of(folder, test);
    if (test.contains("report_data"))
        expect_equal(to_hex(found), test["report_data"], "report data");
    bool matches = false;
    try {
        matches = scheme->second({test.at("inputs"), folder}, found);
    } catch (const Unfit&) {
    }
    expect_equal(matches ? "match" : "mismatch", test.at("expect"), "the binding");
}

}  // namespace

void run_binding(const fs::path& folder, Tally& tally) {
    for (const Json& test : read_cases(folder, tally))
        tally.run("binding " + test.value("id", "?"), [&] { run_case(folder, test); });
}

}  // namespace cocoon::attestation::vectors
