// Revocation of a chain by OCSP answers and lists: who may answer, how long an answer holds, and
// that no answer is neither good nor bad.
#include <functional>

#include "tests/attestation/gpu_maker.hpp"
#include "tests/catch.hpp"

using namespace cocoon;
using namespace cocoon::attestation;
using namespace cocoon::attestation::test;

namespace {

// One GPU's chain of four and good answers for the first two positions; a test sets the third's.
struct Desk {
    GpuMaker gpu;
    std::vector<Certificate> chain;
    RevocationCollateral collateral;
    RevocationRules rules;
    Instant until;

    Desk() {
        for (const Bytes& der : gpu.device.make()) chain.push_back(certificate_of(der));
        for (const std::size_t position : {0, 1}) add(gpu.ocsp(gpu.device, position, {}));
    }
    void add(const Bytes& der) {
        collateral.responses.push_back(OcspResponse::from_der(der).value());
    }
    void add_list(const RevocationListParts& parts, const Key& key) {
        collateral.lists.push_back(
            RevocationList::from_der(make_revocation_list(parts, issuer().parts.common_name, key))
                .value());
    }
    const ChainMaker::Link& issuer() const { return gpu.device.links[3]; }
    const ChainMaker::Link& subject() const { return gpu.device.links[2]; }
    // Answers for the third certificate, by a responder that a test names.
    Bytes answer(const OcspParts& parts, const Bytes& signer, const Key& key) const {
        return make_ocsp(parts, chain[2].der(), chain[3].der(), signer, key);
    }
    Checklist judge() {
        Checklist list;
        until = judge_revocation(list, "", chain, collateral, rules, gpu_made_at);
        return list;
    }
};

std::string found(const Checklist& list) {
    std::string codes;
    for (const Reason& reason : list.reasons()) codes += (codes.empty() ? "" : " ") + reason.code;
    return codes;
}

RevocationListParts list_parts(std::vector<std::int64_t> revoked = {}) {
    RevocationListParts parts;
    parts.this_update = gpu_made_at - hours(2);
    parts.next_update = gpu_made_at + hours(5);
    parts.revoked = std::move(revoked);
    return parts;
}

}  // namespace

TEST_CASE("an answer about revocation: each state and each age has its own code") {
    const auto shifted = [](OcspParts parts, Duration from, std::optional<Duration> until) {
        parts.this_update = gpu_made_at + from;
        parts.next_update = until ? std::optional{gpu_made_at + *until} : std::nullopt;
        return parts;
    };
    OcspParts revoked{V_OCSP_CERTSTATUS_REVOKED};
    OcspParts on_hold{V_OCSP_CERTSTATUS_REVOKED, OCSP_REVOKED_STATUS_CERTIFICATEHOLD};
    OcspParts unknown{V_OCSP_CERTSTATUS_UNKNOWN};
    OcspParts by_sha384;
    by_sha384.hash = EVP_sha384();
    const struct {
        const char* code;
        Status status;
        OcspParts parts;
    } rows[] = {
        {"revocation", Status::proven, {}},
        {"revocation", Status::proven, by_sha384},
        {"certificate_revoked", Status::refuted, revoked},
        {"certificate_on_hold", Status::refuted, on_hold},
        {"revocation_missing", Status::unknown, unknown},
        {"revocation", Status::proven, shifted({}, seconds(60), hours(1))},
        {"revocation_not_yet_valid", Status::refuted, shifted({}, seconds(61), hours(1))},
        {"revocation", Status::proven, shifted({}, hours(-9), seconds(0))},
        {"revocation_expired", Status::refuted, shifted({}, hours(-9), seconds(-1))},
        {"revocation", Status::proven, shifted({}, hours(-24), {})},
        {"revocation_expired", Status::refuted, shifted({}, hours(-25), {})},
        {"certificate_revoked", Status::refuted, shifted(revoked, hours(-9), hours(-1))},
        {"certificate_on_hold", Status::refuted, shifted(on_hold, hours(-9), hours(-1))},
    };
    Desk desk;
    const RevocationCollateral before = desk.collateral;
    for (const auto& row : rows) {
        desk.collateral = before;
        desk.add(desk.gpu.ocsp(desk.gpu.device, 2, row.parts));
        const Checklist list = desk.judge();
        INFO(&row - rows << ": " << found(list));
        CHECK(list.status() == row.status);
        CHECK(found(list) == row.code);
    }
}

TEST_CASE("answers are served beyond their end only as far as the policy says") {
    Desk desk;
    OcspParts parts;
    parts.this_update = gpu_made_at - hours(9);
    parts.next_update = gpu_made_at - hours(1);
    desk.add(desk.gpu.ocsp(desk.gpu.device, 2, parts));
    CHECK(desk.judge().status() == Status::refuted);
    desk.rules.stale_max = hours(1);
    CHECK(desk.judge().status() == Status::proven);
    CHECK(desk.until == gpu_made_at);
    desk.rules.stale_max = hours(1) - seconds(1);
    CHECK(found(desk.judge()) == "revocation_expired");
}

TEST_CASE("only the issuer and whom it delegated may answer") {
    Desk desk;
    const RevocationCollateral before = desk.collateral;
    const GpuMaker other;
    const Key& responder = desk.gpu.responder;
    const auto certificate = [&](const ChainMaker::Link& issuer, bool delegated) {
        return desk.gpu.responder_certificate(issuer, delegated);
    };
    CertificateParts late = chain_link("Test responder", 98, false).parts;
    late.extensions = {{"2.5.29.37", hex("300a06082b06010505070309")}};
    late.not_after = gpu_made_at - seconds(1);
    const Bytes expired =
        make_certificate(late, responder, desk.issuer().parts.common_name, desk.issuer().key);
    const struct {
        const char* what;
        bool accepted;
        Bytes response;
    } rows[] = {
        {"a delegated responder", true,
         desk.answer({}, certificate(desk.issuer(), true), responder)},
        {"the issuer itself", true, desk.answer({}, desk.chain[3].der(), desk.issuer().key)},
        {"not for that purpose", false,
         desk.answer({}, certificate(desk.issuer(), false), responder)},
        {"by another issuer", false, desk.answer({}, certificate(desk.subject(), true), responder)},
        {"by a stranger", false,
         desk.answer({}, certificate(other.device.links[3], true), responder)},
        {"an expired responder", false, desk.answer({}, expired, responder)},
        {"the certificate itself", false, desk.answer({}, desk.chain[2].der(), desk.subject().key)},
        {"another key", false,
         desk.answer({}, desk.gpu.signer.make()[2], desk.gpu.signer.links[2].key)},
    };
    for (const auto& row : rows) {
        desk.collateral = before;
        desk.add(row.response);
        const Checklist list = desk.judge();
        INFO(row.what << ": " << found(list));
        CHECK(list.status() == (row.accepted ? Status::proven : Status::refuted));
        CHECK(found(list) == (row.accepted ? "revocation" : "revocation_signature"));
    }
}

TEST_CASE("answers for other certificates are passed over") {
    Desk desk;
    CHECK(found(desk.judge()) == "revocation_missing");
    CHECK(desk.judge().status() == Status::unknown);
    const GpuMaker other;
    desk.add(other.ocsp(other.device, 2, {V_OCSP_CERTSTATUS_REVOKED}));
    CHECK(found(desk.judge()) == "revocation_missing");
    desk.rules.required = false;
    CHECK(found(desk.judge()) == "revocation_missing");
    CHECK(desk.judge().status() == Status::proven);
    desk.rules = {};
    desk.collateral.responses.erase(desk.collateral.responses.begin());  // the leaf's
    desk.add(desk.gpu.ocsp(desk.gpu.device, 2, {}));
    CHECK(desk.judge().status() == Status::unknown);
    desk.rules.required_from = 1;
    CHECK(desk.judge().status() == Status::proven);
}

TEST_CASE("revocation lists answer too, and a revocation anywhere counts") {
    Desk desk;
    const RevocationCollateral before = desk.collateral;
    desk.add_list(list_parts(), desk.issuer().key);
    CHECK(found(desk.judge()) == "revocation");
    CHECK(desk.until == gpu_made_at + hours(5));
    desk.collateral = before;
    desk.add_list(list_parts({13}), desk.issuer().key);
    CHECK(found(desk.judge()) == "certificate_revoked");
    desk.add(desk.gpu.ocsp(desk.gpu.device, 2, {}));  // good, says the responder
    CHECK(found(desk.judge()) == "certificate_revoked");
    desk.collateral = before;
    desk.add_list(list_parts(), desk.subject().key);
    CHECK(found(desk.judge()) == "revocation_signature");
    desk.collateral = before;
    RevocationListParts old = list_parts();
    old.next_update = gpu_made_at - seconds(1);
    desk.add_list(old, desk.issuer().key);
    CHECK(found(desk.judge()) == "revocation_expired");
}

TEST_CASE("what is no OCSP response is refused") {
    const Bytes good = GpuMaker{}.ocsp_responses()[0];
    Bytes longer = good;
    longer.push_back(0);
    const Bytes try_later = hex("30030a0103");
    for (const Bytes& bytes : {Bytes{}, Bytes{0x30}, longer, Bytes(good.begin(), good.end() - 1),
                               try_later, Bytes(ocsp_response_bytes_max + 1, 0x30)}) {
        const auto read = OcspResponse::from_der(bytes);
        REQUIRE_FALSE(read.has_value());
        CHECK(read.error().code == ErrorCode::malformed_request);
    }
}

TEST_CASE("a request asks about one certificate, and its nonce comes back") {
    const Desk desk;
    const Bytes nonce(32, 0x5A);
    const Bytes request = make_ocsp_request(desk.chain[2], desk.chain[3], nonce);
    const unsigned char* at = request.data();
    const Owned<OCSP_REQUEST, OCSP_REQUEST_free> read{
        d2i_OCSP_REQUEST(nullptr, &at, static_cast<long>(request.size()))};
    REQUIRE(read);
    CHECK(OCSP_request_onereq_count(read.get()) == 1);
    CHECK(OCSP_request_is_signed(read.get()) == 0);
    // What a responder does: answer what was asked, copy the nonce, sign.
    OCSP_CERTID* id = OCSP_onereq_get0_id(OCSP_request_onereq_get0(read.get(), 0));
    const Owned<OCSP_BASICRESP, OCSP_BASICRESP_free> basic{OCSP_BASICRESP_new()};
    const Owned<ASN1_TIME, ASN1_TIME_free> from{
        ASN1_GENERALIZEDTIME_set(nullptr, static_cast<std::time_t>(gpu_made_at.unix_seconds()))};
    REQUIRE(OCSP_basic_add1_status(basic.get(), id, V_OCSP_CERTSTATUS_GOOD, 0, nullptr, from.get(),
                                   nullptr));
    REQUIRE(OCSP_copy_nonce(basic.get(), read.get()) == 1);
    const Bytes signer = desk.gpu.responder_certificate(desk.issuer());
    const unsigned char* der = signer.data();
    const Owned<X509, X509_free> responder{
        d2i_X509(nullptr, &der, static_cast<long>(signer.size()))};
    REQUIRE(OCSP_basic_sign(basic.get(), responder.get(), desk.gpu.responder.get(), EVP_sha384(),
                            nullptr, 0) == 1);
    const Owned<OCSP_RESPONSE, OCSP_RESPONSE_free> made{
        OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic.get())};
    const auto response =
        OcspResponse::from_der(encoded<OCSP_RESPONSE>(made.get(), i2d_OCSP_RESPONSE)).value();
    CHECK(response.nonce() == nonce);
    CHECK(response.about(desk.chain[2], desk.chain[3])->state == RevocationState::good);
    CHECK_FALSE(response.about(desk.chain[1], desk.chain[2]).has_value());
    CHECK(response.signed_for(desk.chain[3], gpu_made_at));
    CHECK_FALSE(OcspResponse::from_der(desk.gpu.ocsp(desk.gpu.device, 0, {})).value().nonce());
}
