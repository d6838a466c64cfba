#include "attestation/revocation.hpp"

#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <ctime>
#include <stdexcept>

#include "attestation/der.hpp"
#include "core/ensure.hpp"

namespace cocoon::attestation {
namespace {

constexpr Instant endless{INT64_MAX};

template <auto function>
struct Free {
    template <class T>
    void operator()(T* object) const noexcept {
        function(object);
    }
};
template <class T, auto function>
using Owned = std::unique_ptr<T, Free<function>>;

void check(bool succeeded, const char* what) {
    if (!succeeded) throw std::runtime_error{std::string{"OpenSSL failed: "} + what};
}

Error malformed(const char* why) {
    ERR_clear_error();
    return refuse(ErrorCode::malformed_request, why);
}

std::optional<Instant> instant_of(const ASN1_GENERALIZEDTIME* time) {
    std::tm parts{};
    if (!time || ASN1_TIME_to_tm(time, &parts) != 1) return std::nullopt;
    return Instant{} + seconds(::timegm(&parts));
}

void free_stack(STACK_OF(X509) * stack) { sk_X509_free(stack); }  // not what it points to

Owned<X509, X509_free> x509_of(const Certificate& certificate) {
    const unsigned char* at = certificate.der().data();
    Owned<X509, X509_free> out{d2i_X509(nullptr, &at, static_cast<long>(certificate.der().size()))};
    check(out != nullptr, "certificate");
    return out;
}

// As Certificate::serial() writes it.
std::string serial_of(OCSP_SINGLERESP* single) {
    auto* named = const_cast<OCSP_CERTID*>(OCSP_SINGLERESP_get0_id(single));
    ASN1_INTEGER* serial = nullptr;
    if (OCSP_id_get0_info(nullptr, nullptr, nullptr, &serial, named) != 1) return {};
    const Owned<BIGNUM, BN_free> value{ASN1_INTEGER_to_BN(serial, nullptr)};
    check(value != nullptr, "integer");
    Bytes bytes(static_cast<std::size_t>(BN_num_bytes(value.get())));
    BN_bn2bin(value.get(), bytes.data());
    return bytes.empty() ? "00" : to_hex(bytes);
}

// The answer names its certificate by hashes of the issuer's name and key and by its serial.
bool speaks_of(OCSP_SINGLERESP* single, X509* certificate, X509* issuer) {
    // OpenSSL's accessor is not const, but only reads.
    auto* named = const_cast<OCSP_CERTID*>(OCSP_SINGLERESP_get0_id(single));
    ASN1_OBJECT* algorithm = nullptr;
    if (OCSP_id_get0_info(nullptr, &algorithm, nullptr, nullptr, named) != 1) return false;
    const EVP_MD* hash = EVP_get_digestbyobj(algorithm);
    if (!hash) return false;
    const Owned<OCSP_CERTID, OCSP_CERTID_free> wanted{OCSP_cert_to_id(hash, certificate, issuer)};
    return wanted && OCSP_id_cmp(named, wanted.get()) == 0;
}

std::optional<OcspAnswer> answer_of(OCSP_SINGLERESP* single) {
    int reason = -1;
    ASN1_GENERALIZEDTIME* this_update = nullptr;
    ASN1_GENERALIZEDTIME* next_update = nullptr;
    const int status =
        OCSP_single_get0_status(single, &reason, nullptr, &this_update, &next_update);
    const auto from = instant_of(this_update);
    if (!from || (next_update && !instant_of(next_update))) return std::nullopt;
    RevocationState state = RevocationState::unknown;
    if (status == V_OCSP_CERTSTATUS_GOOD) state = RevocationState::good;
    if (status == V_OCSP_CERTSTATUS_REVOKED)
        state = reason == OCSP_REVOKED_STATUS_CERTIFICATEHOLD ? RevocationState::on_hold
                                                              : RevocationState::revoked;
    return OcspAnswer{state, *from, instant_of(next_update)};
}

// What all that is at hand says about one certificate.
class Finding {
public:
    Finding(const RevocationRules& rules, Instant at) : rules_{rules}, at_{at} {}

    void add(const OcspResponse& response, const Certificate& certificate,
             const Certificate& issuer) {
        if (forged_) return;  // refuted: further signatures would only be work
        const auto answer = response.about(certificate, issuer);
        if (!answer) return;
        // An answer that is out of date is judged when it was given, so that it still says so.
        const bool late = answer->next_update && *answer->next_update < at_;
        if (!response.signed_for(issuer, late ? answer->this_update : at_)) {
            forged_ = true;
            return;
        }
        add(answer->state, answer->this_update,
            answer->next_update.value_or(answer->this_update + rules_.answer_age_max));
    }
    void add(const RevocationList& list, const Certificate& certificate,
             const Certificate& issuer) {
        if (forged_ || !list.names_issuer(issuer)) return;
        if (!issuer.may_sign_revocation_lists() || !list.signed_by(issuer.public_key())) {
            forged_ = true;
            return;
        }
        add(list.revokes(certificate) ? RevocationState::revoked : RevocationState::good,
            list.this_update(), list.next_update());
    }

    // Notes what is wrong with `name`; returns until when it is known to be good, if it is.
    std::optional<Instant> judge(Checklist& checklist, const std::string& prefix,
                                 const std::string& name, bool required) const {
        if (revoked_) checklist.fail(prefix + "certificate_revoked", name + " is revoked");
        if (on_hold_)
            checklist.fail(prefix + "certificate_on_hold",
                           name + " is on hold: its issuer suspects it; ask the vendor");
        if (forged_)
            checklist.fail(prefix + "revocation_signature",
                           "what is said about " + name + " is not signed for its issuer");
        if (revoked_ || on_hold_ || forged_) return std::nullopt;
        if (good_until_) return good_until_;
        if (early_)
            checklist.fail(prefix + "revocation_not_yet_valid",
                           "what is said about " + name + " is from the future");
        else if (late_)
            checklist.fail(prefix + "revocation_expired",
                           "what is said about " + name + " is out of date; fetch it anew");
        else if (required)
            checklist.missing(prefix + "revocation_missing",
                              "nothing at hand says whether " + name + " is revoked");
        else
            checklist.skipped(prefix + "revocation_missing",
                              "nothing at hand says whether " + name +
                                  " is revoked, and the policy does not ask");
        return std::nullopt;
    }

private:
    void add(RevocationState state, Instant from, Instant until) {
        // A revocation counts whatever its age: time does not make a certificate good again.
        if (state == RevocationState::revoked) revoked_ = true;
        if (state == RevocationState::on_hold) on_hold_ = true;
        if (state != RevocationState::good) return;
        until = until + rules_.stale_max;
        if (from > at_ + rules_.clock_skew_max)
            early_ = true;
        else if (until < at_)
            late_ = true;
        else
            good_until_ = std::max(good_until_.value_or(until), until);
    }

    const RevocationRules& rules_;
    Instant at_;
    bool revoked_ = false, on_hold_ = false, forged_ = false, early_ = false, late_ = false;
    std::optional<Instant> good_until_;
};

}  // namespace

Result<OcspResponse> OcspResponse::from_der(ByteView der) {
    if (der.empty() || der.size() > ocsp_response_bytes_max)
        return malformed("the OCSP response is empty or too long");
    const unsigned char* at = der.data();
    const Owned<OCSP_RESPONSE, OCSP_RESPONSE_free> response{
        d2i_OCSP_RESPONSE(nullptr, &at, static_cast<long>(der.size()))};
    if (!response || at != der.data() + der.size()) return malformed("not one OCSP response");
    if (OCSP_response_status(response.get()) != OCSP_RESPONSE_STATUS_SUCCESSFUL)
        return malformed("the OCSP responder gave no answer");
    std::shared_ptr<OCSP_BASICRESP> basic{OCSP_response_get1_basic(response.get()),
                                          Free<OCSP_BASICRESP_free>{}};
    if (!basic) return malformed("not a basic OCSP response");
    const int count = OCSP_resp_count(basic.get());
    if (count < 1 || count > static_cast<int>(ocsp_answers_max))
        return malformed("the OCSP response holds no answer, or too many");
    for (int i = 0; i < count; ++i)
        if (!answer_of(OCSP_resp_get0(basic.get(), i)))
            return malformed("an OCSP answer's dates cannot be read");
    ERR_clear_error();
    return OcspResponse{std::move(basic)};
}

std::optional<OcspAnswer> OcspResponse::about(const Certificate& certificate,
                                              const Certificate& issuer) const {
    for (int i = 0; i < OCSP_resp_count(response_.get()); ++i) {
        OCSP_SINGLERESP* single = OCSP_resp_get0(response_.get(), i);
        // A bundle holds many answers: most are passed over by their serial number alone.
        if (serial_of(single) == certificate.serial() &&
            speaks_of(single, x509_of(certificate).get(), x509_of(issuer).get()))
            return answer_of(single);
    }
    ERR_clear_error();
    return std::nullopt;
}

bool OcspResponse::signed_for(const Certificate& issuer, Instant at) const {
    const auto authority = x509_of(issuer);
    const Owned<X509_STORE, X509_STORE_free> store{X509_STORE_new()};
    check(store && X509_STORE_add_cert(store.get(), authority.get()) == 1, "store");
    // An issuer that signs its answers itself need not send its own certificate along.
    const Owned<STACK_OF(X509), free_stack> known{sk_X509_new_null()};
    check(known && sk_X509_push(known.get(), authority.get()) > 0, "stack");
    X509_VERIFY_PARAM_set_time(X509_STORE_get0_param(store.get()),
                               static_cast<std::time_t>(at.unix_seconds()));
    // The issuer is not a root, hence the partial chain; and trusting it for certificates does not
    // make every key that it certified a responder, hence no explicit trust.
    const bool right = OCSP_basic_verify(response_.get(), known.get(), store.get(),
                                         OCSP_PARTIAL_CHAIN | OCSP_NOEXPLICIT) == 1;
    ERR_clear_error();
    return right;
}

std::optional<Bytes> OcspResponse::nonce() const {
    const int at = OCSP_BASICRESP_get_ext_by_NID(response_.get(), NID_id_pkix_OCSP_Nonce, -1);
    if (at < 0) return std::nullopt;
    const ASN1_OCTET_STRING* value =
        X509_EXTENSION_get_data(OCSP_BASICRESP_get_ext(response_.get(), at));
    // The extension's value is an OCTET STRING inside extnValue's own.
    Reader in{ByteView{ASN1_STRING_get0_data(value),
                       static_cast<std::size_t>(ASN1_STRING_length(value))}};
    const auto octets = take_der(in, der::octet_string);
    if (!octets || !in.finished()) return std::nullopt;
    return Bytes{octets->begin(), octets->end()};
}

Bytes make_ocsp_request(const Certificate& certificate, const Certificate& issuer, ByteView nonce) {
    ENSURE(!nonce.empty() && nonce.size() <= 128);
    const Owned<OCSP_REQUEST, OCSP_REQUEST_free> request{OCSP_REQUEST_new()};
    Owned<OCSP_CERTID, OCSP_CERTID_free> id{
        OCSP_cert_to_id(EVP_sha384(), x509_of(certificate).get(), x509_of(issuer).get())};
    check(request && id && OCSP_request_add0_id(request.get(), id.get()) != nullptr, "request");
    static_cast<void>(id.release());
    Bytes octets{nonce.begin(), nonce.end()};  // OpenSSL takes them without const, and copies
    check(
        OCSP_request_add1_nonce(request.get(), octets.data(), static_cast<int>(octets.size())) == 1,
        "nonce");
    unsigned char* made = nullptr;
    const int size = i2d_OCSP_REQUEST(request.get(), &made);
    check(size > 0, "request");
    Bytes out{made, made + size};
    OPENSSL_free(made);
    return out;
}

Instant judge_revocation(Checklist& checklist, const std::string& prefix,
                         std::span<const Certificate> chain, const RevocationCollateral& collateral,
                         const RevocationRules& rules, Instant at) {
    Instant until = endless;
    std::size_t good = 0;
    for (std::size_t i = 0; i + 1 < chain.size(); ++i) {
        Finding finding{rules, at};
        for (const OcspResponse& response : collateral.responses)
            finding.add(response, chain[i], chain[i + 1]);
        for (const RevocationList& list : collateral.lists)
            finding.add(list, chain[i], chain[i + 1]);
        const bool required = rules.required && i >= rules.required_from;
        const auto good_until = finding.judge(checklist, prefix, chain[i].common_name(), required);
        if (!good_until) continue;
        ++good;
        until = std::min(until, *good_until);
    }
    if (good + 1 == chain.size())
        checklist.check(prefix + "revocation", true, "no certificate of the chain is revoked", {});
    return until;
}

}  // namespace cocoon::attestation
