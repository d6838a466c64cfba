// Makes NVIDIA evidence that verifies, under a PKI of the test's own: device reports with a DICE
// chain, signed manifests, OCSP answers, and the attestation service's tokens with their key set. A
// test changes one part before it is signed. Manifests are written in canonical form and signed
// here by hand, so that libxmlsec1 is checked by something else than itself.
#pragma once

#include <openssl/ocsp.h>
#include <openssl/pem.h>

#include <functional>
#include <map>

#include "attestation/nvidia.hpp"
#include "attestation/nvidia_token.hpp"
#include "tests/attestation/pki_maker.hpp"

namespace cocoon::attestation::test {

inline const Instant gpu_made_at = *Instant::parse("2026-11-22T12:00:00Z");
inline const Instant gpu_keys_from = *Instant::parse("2026-01-01T00:00:00Z");
inline const Instant gpu_keys_until = *Instant::parse("2036-01-01T00:00:00Z");

inline Bytes joined(std::initializer_list<ByteView> parts) {
    Bytes out;
    for (const ByteView part : parts) out.insert(out.end(), part.begin(), part.end());
    return out;
}
inline Bytes hex(std::string_view text) { return *from_hex(text); }
inline Bytes der_of(std::uint8_t tag, ByteView value) {
    Bytes out{tag};
    if (value.size() >= 0x80) out.push_back(0x81);
    out.push_back(static_cast<std::uint8_t>(value.size()));
    out.insert(out.end(), value.begin(), value.end());
    return out;
}
inline Certificate certificate_of(const Bytes& der) { return Certificate::from_der(der).value(); }

// ---- Certificates -------------------------------------------------------------------------------

// A chain, leaf first: each key certified by the next, the last by itself.
struct ChainMaker {
    struct Link {
        CertificateParts parts;
        Key key{KeyKind::p384};
    };
    std::vector<Link> links;

    std::vector<Bytes> make() const {
        std::vector<Bytes> out;
        for (std::size_t i = 0; i < links.size(); ++i) {
            const Link& issuer = links[std::min(i + 1, links.size() - 1)];
            out.push_back(make_certificate(links[i].parts, links[i].key, issuer.parts.common_name,
                                           issuer.key));
        }
        return out;
    }
    std::string pin() const { return certificate_of(make().back()).public_key().spki_sha256(); }
};

inline ChainMaker::Link chain_link(const std::string& name, std::int64_t serial, bool is_ca) {
    ChainMaker::Link link;
    link.parts.common_name = name;
    link.parts.serial = serial;
    link.parts.not_before = gpu_keys_from;
    link.parts.not_after = gpu_keys_until;
    link.parts.basic_constraints = is_ca ? "critical,CA:TRUE" : "";
    link.parts.key_usage = is_ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature";
    return link;
}

// ---- Reports ------------------------------------------------------------------------------------

inline Bytes firmware_digest() { return Bytes(nvidia_measurement_bytes, 0xF1); }
inline Bytes fwid_element(const Bytes& digest) {
    return der_of(0x30, joined({hex("0609608648016503040202"), der_of(0x04, digest)}));
}
// Hopper: something, then the firmware's digest. Blackwell: DiceTcbInfo with a list of them.
inline Bytes composite_device(const Bytes& digest) {
    return der_of(0x30, joined({hex("020101"), fwid_element(digest)}));
}
inline Bytes tcb_info(const Bytes& digest) {
    const Bytes list = joined({fwid_element(digest), fwid_element(Bytes(48, 0))});
    return der_of(0x30, joined({der_of(0x80, as_bytes("NVIDIA")), der_of(0xA6, list)}));
}
inline Bytes device_name(std::string_view info) {
    const Bytes type = hex("060a2b06010401831c821201");
    const Bytes value = der_of(0xA0, der_of(0x0C, as_bytes(info)));
    return der_of(0x30, der_of(0xA0, joined({type, value})));
}

struct ReportParts {
    Bytes request_head = hex("11e001ff");
    NvidiaNonce nonce{};
    Bytes response_head = hex("11600000");
    std::map<std::uint8_t, Bytes> measurements;  // by SPDM index
    std::vector<std::pair<NvidiaField, Bytes>> opaque;
    Bytes trailing;

    Bytes make(const Key& key) const {
        Bytes out = joined({request_head, nonce, hex("00"), response_head});
        Bytes record, fields;
        for (const auto& [index, value] : measurements) {
            record.insert(record.end(), {index, 1});
            append_little(record, value.size() + 3, 2);
            record.push_back(1);
            append_little(record, value.size(), 2);
            record.insert(record.end(), value.begin(), value.end());
        }
        for (const auto& [field, value] : opaque) {
            append_little(fields, static_cast<std::uint16_t>(field), 2);
            append_little(fields, value.size(), 2);
            fields.insert(fields.end(), value.begin(), value.end());
        }
        out.push_back(static_cast<std::uint8_t>(measurements.size()));
        append_little(out, record.size(), 3);
        out.insert(out.end(), record.begin(), record.end());
        out.insert(out.end(), 32, 0xEE);  // the responder's nonce
        append_little(out, fields.size(), 2);
        out.insert(out.end(), fields.begin(), fields.end());
        return joined({out, key.sign_raw(out), trailing});
    }
    Bytes& field(NvidiaField wanted) {
        for (auto& [field, value] : opaque)
            if (field == wanted) return value;
        return opaque.emplace_back(wanted, Bytes{}).second;
    }
    void erase(NvidiaField wanted) {
        std::erase_if(opaque, [&](const auto& one) { return one.first == wanted; });
    }
};

// ---- Manifests ----------------------------------------------------------------------------------

// One resource of the payload: index, whether it counts, its accepted values.
struct GoldenParts {
    std::uint16_t index = 0;
    bool active = true;
    std::vector<Bytes> values;
};

struct ManifestParts {
    std::string version, product = "GH100", tag_id = "tag-1";
    std::vector<GoldenParts> golden;
    std::function<void(std::string& document)> edit_signed;  // before it is signed; stays canonical
    std::function<void(std::string& document)> edit;         // after

    static constexpr std::string_view spaces =
        R"( xmlns="http://standards.iso.org/iso/19770/-2/2015/schema.xsd")";
    static constexpr std::string_view prefixes =
        R"( xmlns:ns0="http://standards.iso.org/iso/19770/-2/2015/schema.xsd")"
        R"( xmlns:ns2="http://www.w3.org/2001/04/xmlenc#sha384")";

    std::string unsigned_document() const {
        std::string out = "<SoftwareIdentity" + std::string{spaces} + std::string{prefixes} +
                          " name=\"" + product + "\" tagId=\"" + tag_id + "\">\n";
        out += "<ns0:Meta colloquialVersion=\"" + version + "\" product=\"" + product +
               "\"></ns0:Meta>\n<ns0:Payload>\n";
        for (const GoldenParts& one : golden) {
            out += "<ns0:Resource active=\"" + std::string{one.active ? "True" : "False"} +
                   "\" alternatives=\"" + std::to_string(one.values.size()) + "\" index=\"" +
                   std::to_string(one.index) + "\" size=\"48\" type=\"Measurement\"";
            for (std::size_t i = 0; i < one.values.size(); ++i)
                out += " ns2:Hash" + std::to_string(i) + "=\"" + to_hex(one.values[i]) + "\"";
            out += "></ns0:Resource>\n";
        }
        return out + "</ns0:Payload>\n</SoftwareIdentity>";
    }
    // SignedInfo as canonical XML writes it: the namespaces of its ancestors come with it.
    static std::string signed_info(const std::string& digest) {
        return "<ds:SignedInfo" + std::string{spaces} +
               R"( xmlns:ds="http://www.w3.org/2000/09/xmldsig#")" + std::string{prefixes} +
               R"(><ds:CanonicalizationMethod Algorithm="http://www.w3.org/2006/12/xml-c14n11">)"
               R"(</ds:CanonicalizationMethod><ds:SignatureMethod Algorithm=)"
               R"("http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384"></ds:SignatureMethod>)"
               R"(<ds:Reference URI=""><ds:Transforms><ds:Transform Algorithm=)"
               R"("http://www.w3.org/2000/09/xmldsig#enveloped-signature"></ds:Transform>)"
               R"(<ds:Transform Algorithm="http://www.w3.org/2006/12/xml-c14n11"></ds:Transform>)"
               R"(</ds:Transforms><ds:DigestMethod Algorithm=)"
               R"("http://www.w3.org/2001/04/xmldsig-more#sha384"></ds:DigestMethod>)"
               "<ds:DigestValue>" +
               digest + "</ds:DigestValue></ds:Reference></ds:SignedInfo>";
    }
    Bytes make(const std::vector<Bytes>& chain, const Key& key) const {
        std::string document = unsigned_document();
        if (edit_signed) edit_signed(document);
        const std::string info = signed_info(to_base64(sha384(as_bytes(document))));
        std::string signature = R"(<ds:Signature xmlns:ds="http://www.w3.org/2000/09/xmldsig#">)" +
                                info + "<ds:SignatureValue>" +
                                to_base64(key.sign_raw(as_bytes(info))) +
                                "</ds:SignatureValue><ds:KeyInfo><ds:X509Data>";
        for (const Bytes& der : chain)
            signature += "<ds:X509Certificate>" + to_base64(der) + "</ds:X509Certificate>";
        signature += "</ds:X509Data></ds:KeyInfo></ds:Signature>";
        document.insert(document.rfind("</SoftwareIdentity>"), signature);
        if (edit) edit(document);
        return Bytes{document.begin(), document.end()};
    }
};

// ---- OCSP ---------------------------------------------------------------------------------------

struct OcspParts {
    int status = V_OCSP_CERTSTATUS_GOOD;
    int reason = OCSP_REVOKED_STATUS_NOSTATUS;
    Instant this_update = gpu_made_at - hours(1);
    std::optional<Instant> next_update = gpu_made_at + hours(23);
    const EVP_MD* hash = EVP_sha1();  // of issuer's name and key
};

// The signer's certificate travels along unless it is the issuer's own.
inline Bytes make_ocsp(const OcspParts& parts, const Bytes& certificate, const Bytes& issuer,
                       const Bytes& signer, const Key& signer_key) {
    const auto x509 = [](const Bytes& der) {
        const unsigned char* at = der.data();
        Owned<X509, X509_free> out{d2i_X509(nullptr, &at, static_cast<long>(der.size()))};
        must(out != nullptr, "certificate");
        return out;
    };
    const auto subject = x509(certificate), authority = x509(issuer), responder = x509(signer);
    const auto time = [](std::optional<Instant> at) {
        return Owned<ASN1_TIME, ASN1_TIME_free>{
            at ? ASN1_GENERALIZEDTIME_set(nullptr, static_cast<std::time_t>(at->unix_seconds()))
               : nullptr};
    };
    const auto from = time(parts.this_update), until = time(parts.next_update);
    const Owned<OCSP_BASICRESP, OCSP_BASICRESP_free> basic{OCSP_BASICRESP_new()};
    const Owned<OCSP_CERTID, OCSP_CERTID_free> id{
        OCSP_cert_to_id(parts.hash, subject.get(), authority.get())};
    must(OCSP_basic_add1_status(basic.get(), id.get(), parts.status, parts.reason, from.get(),
                                from.get(), until.get()) != nullptr,
         "OCSP answer");
    const unsigned long flags = signer == issuer ? OCSP_NOCERTS : 0;
    must(OCSP_basic_sign(basic.get(), responder.get(), signer_key.get(), EVP_sha384(), nullptr,
                         flags) == 1,
         "OCSP signature");
    const Owned<OCSP_RESPONSE, OCSP_RESPONSE_free> response{
        OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic.get())};
    return encoded<OCSP_RESPONSE>(response.get(), i2d_OCSP_RESPONSE);
}

// ---- Tokens -------------------------------------------------------------------------------------

struct TokenParts {
    std::string header = R"({"alg":"ES384","kid":"kid-1"})";
    std::map<std::string, std::string> claims;  // name -> JSON text

    std::string make(const Key& key) const {
        std::string payload = "{";
        for (const auto& [name, value] : claims)
            payload += (payload.size() > 1 ? ",\"" : "\"") + name + "\":" + value;
        const std::string text =
            to_base64url(as_bytes(header)) + "." + to_base64url(as_bytes(payload + "}"));
        return text + "." + to_base64url(key.sign_raw(as_bytes(text)));
    }
};

struct AnswerParts {
    TokenParts overall;
    std::map<std::string, TokenParts> devices;
    std::function<void(std::map<std::string, std::string>& tokens)> edit_tokens;  // compact, after

    std::string make(const Key& key) const {
        std::map<std::string, std::string> tokens;
        std::string submods = "{";
        for (const auto& [name, parts] : devices) {
            tokens[name] = parts.make(key);
            submods += (submods.size() > 1 ? ",\"" : "\"") + name + R"(":["DIGEST",["SHA-256",")" +
                       to_hex(sha256(as_bytes(tokens[name]))) + "\"]]";
        }
        TokenParts first = overall;
        first.claims.emplace("submods", submods + "}");
        std::string out = R"([["JWT",")" + first.make(key) + "\"],{";
        if (edit_tokens) edit_tokens(tokens);
        for (const auto& [name, token] : tokens)
            out += (out.back() == '{' ? "\"" : ",\"") + name + "\":\"" + token + "\"";
        return out + "}]";
    }
};

// ---- One GPU with everything --------------------------------------------------------------------

class GpuMaker {
public:
    ChainMaker device, signer, service;  // of reports, of manifests, of tokens' keys
    Key responder{KeyKind::p384};        // delegated by every issuer
    ReportParts report;
    ManifestParts driver, vbios;
    AnswerParts answer;
    NvidiaPolicy policy;  // under which reports are acceptable
    NvidiaTokenPolicy token_policy;

    explicit GpuMaker(const std::string& serial = "48B02D0000000001") {
        // Each device's leaf has a serial of its own: 11 for the first.
        const std::int64_t leaf =
            11 + 1'000 * (std::stoll(serial.substr(serial.size() - 4), nullptr, 16) - 1);
        device.links = {chain_link("GH100 A01 GSP FMC LF", leaf, false),
                        chain_link("GH100 A01 GSP BROM", 12, true),
                        chain_link("Test GH100 Identity", 13, true),
                        chain_link("Test Device Identity CA", 14, true)};
        device.links[0].parts.extensions = {{"2.23.133.5.4.1", composite_device(firmware_digest())},
                                            {"2.5.29.17", device_name("NVIDIA:GH100:" + serial)}};
        signer.links = {chain_link("Test manifest signer", 21, false),
                        chain_link("Test manifest CA", 22, true),
                        chain_link("Test manifest root", 23, true)};
        service.links = {chain_link("Test token key", 31, false),
                         chain_link("Test service CA", 32, true)};
        policy.device_roots = {device.pin()};
        policy.manifest_roots = {signer.pin()};
        token_policy.service_pins = {service.pin()};
        fill_report();
        fill_manifests();
        fill_answer();
    }

    static NvidiaNonce nonce() {
        NvidiaNonce out;
        out.fill(0xA5);
        return out;
    }
    static Bytes measurement(std::uint8_t index) { return Bytes(nvidia_measurement_bytes, index); }

    NvidiaEvidence evidence() const {
        NvidiaEvidence out;
        out.report = report.make(device.links[0].key);
        for (const Bytes& der : device.make()) out.certificates += pem_of(der);
        return out;
    }
    std::vector<Bytes> manifests() const {
        const auto chain = signer.make();
        return {driver.make(chain, signer.links[0].key), vbios.make(chain, signer.links[0].key)};
    }
    // Good answers for every certificate of both chains but the roots, by the delegated responder.
    std::vector<Bytes> ocsp_responses() const {
        std::vector<Bytes> out;
        for (const ChainMaker* chain : {&device, &signer}) {
            const auto made = chain->make();
            for (std::size_t i = 0; i + 1 < made.size(); ++i)
                out.push_back(make_ocsp({}, made[i], made[i + 1],
                                        responder_certificate(chain->links[i + 1]), responder));
        }
        return out;
    }
    Bytes ocsp(const ChainMaker& chain, std::size_t position, const OcspParts& parts) const {
        const auto made = chain.make();
        return make_ocsp(parts, made[position], made[position + 1],
                         responder_certificate(chain.links[position + 1]), responder);
    }
    Bytes responder_certificate(const ChainMaker::Link& issuer, bool delegated = true) const {
        CertificateParts parts = chain_link("Test responder", 99, false).parts;
        if (delegated)
            parts.extensions = {{"2.5.29.37", hex("300a06082b06010505070309")}};  // OCSPSigning
        return make_certificate(parts, responder, issuer.parts.common_name, issuer.key);
    }
    NvidiaCollateral collateral() const {
        return read_nvidia_collateral(manifests(), ocsp_responses(), {}).value();
    }
    std::string key_set() const {
        const Bytes point = service.links[0].key.point();
        const ByteView view{point};
        const auto chain = service.make();
        return R"({"keys":[{"kty":"EC","crv":"P-384","kid":"kid-1","x":")" +
               to_base64url(view.first(48)) + R"(","y":")" + to_base64url(view.last(48)) +
               R"(","x5c":[")" + to_base64(chain[0]) + "\",\"" + to_base64(chain[1]) + "\"]}]}";
    }
    std::string answer_text() const { return answer.make(service.links[0].key); }

private:
    void fill_report() {
        report.nonce = nonce();
        for (std::uint8_t index = 1; index <= 40; ++index)
            report.measurements[index] = measurement(index);
        report.opaque = {{NvidiaField::driver_version, Bytes{'5', '7', '0', '.', '8', '6', 0}},
                         {NvidiaField::vbios_version, hex("00a5009601000000")},
                         {NvidiaField::nvdec0_status, hex("55")},
                         {NvidiaField::firmware_id, firmware_digest()},
                         {NvidiaField::feature_flag, hex("0000")}};
    }
    void fill_manifests() {
        driver.version = "570.86";
        vbios.version = "96.00.A5.00.01";
        vbios.tag_id = "tag-2";
        for (std::uint16_t index = 0; index < 40; ++index) {
            const Bytes right = measurement(static_cast<std::uint8_t>(index + 1));
            const bool of_driver = index >= 20;
            driver.golden.push_back({index, of_driver, {Bytes(48, 0), right}});
            vbios.golden.push_back({index, !of_driver, {right}});
        }
    }
    void fill_answer() {
        const std::string quoted_nonce = "\"" + to_hex(nonce()) + "\"";
        TokenParts common;
        common.claims = {{"iss", "\"" + std::string{nvidia_service_issuer} + "\""},
                         {"eat_nonce", quoted_nonce},
                         {"nbf", std::to_string(gpu_made_at.unix_seconds() - 60)},
                         {"exp", std::to_string(gpu_made_at.unix_seconds() + 3540)}};
        answer.overall = common;
        answer.overall.claims["x-nvidia-overall-att-result"] = "true";
        answer.overall.claims["x-nvidia-ver"] = "\"3.0\"";
        for (const char* serial : {"1", "2"}) {
            TokenParts one = common;
            one.claims.insert({{"hwmodel", "\"GH100 A01 GSP BROM\""},
                               {"ueid", "\"" + std::string{serial} + "\""},
                               {"measres", "\"success\""},
                               {"secboot", "true"},
                               {"dbgstat", "\"disabled\""},
                               {"x-nvidia-gpu-driver-version", "\"570.86\""}});
            answer.devices["GPU-" + std::string{serial}] = one;
        }
    }
};

}  // namespace cocoon::attestation::test
