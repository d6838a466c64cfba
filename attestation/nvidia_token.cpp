#include "attestation/nvidia_token.hpp"

#include <algorithm>
#include <set>

#include "attestation/checklist.hpp"
#include "attestation/nvidia_claims.hpp"
#include "attestation/nvidia_token_codec.hpp"

namespace cocoon::attestation {
namespace {

constexpr std::string_view only_algorithm = "ES384";
constexpr std::string_view overall_name = "overall token";
constexpr std::int64_t unix_seconds_max = 253'402'300'799;  // the end of the year 9999

bool contains(const std::vector<std::string>& list, const std::string& wanted) {
    return std::find(list.begin(), list.end(), wanted) != list.end();
}

std::string shown(std::string_view text) {
    std::string out;
    for (const char c : text.substr(0, 64)) out += c > 0x20 && c < 0x7F ? c : '?';
    return out;
}

// Until when the key is certified by a pinned authority; nothing if it is not.
std::optional<Instant> certified_until(const NvidiaKeySet::Key& key,
                                       const NvidiaTokenPolicy& policy, Instant at) {
    if (key.certificates.size() < 2) return std::nullopt;
    const auto own = Certificate::from_der(key.certificates[0]);
    const auto authority = Certificate::from_der(key.certificates[1]);
    if (!own || !authority) return std::nullopt;
    const bool current = own->not_before() <= at && at <= own->not_after() &&
                         authority->not_before() <= at && at <= authority->not_after();
    const bool right = own->public_key().spki_sha256() == key.key.spki_sha256() &&
                       own->may_sign_data() && !own->is_ca() &&
                       contains(policy.service_pins, authority->public_key().spki_sha256()) &&
                       authority->is_ca() && authority->may_sign_certificates() &&
                       own->names_issuer(*authority) && own->signed_by(authority->public_key());
    if (!current || !right) return std::nullopt;
    return std::min(own->not_after(), authority->not_after());
}

// Judges one token after another against the same key set, nonce and instant.
class Judge {
public:
    Judge(Checklist& list, const NvidiaKeySet& keys, const NvidiaNonce& nonce,
          const NvidiaTokenPolicy& policy, Instant at)
        : list_{list}, keys_{keys}, nonce_{to_hex(nonce)}, policy_{policy}, at_{at} {}

    // The token, or nothing if the service did not sign it. Its claims are judged in both cases
    // that return one.
    std::optional<NvidiaToken> judge(const std::string& compact, std::string_view name) {
        const std::string of = " (" + std::string{name} + ")";
        auto token = parse_nvidia_token(compact);
        if (!list_.check("token_format", token.has_value(), "the token is well-formed" + of,
                         token ? "" : token.error().detail + of))
            return std::nullopt;
        if (!judge_signature(*token, of)) return std::nullopt;
        judge_claims(*token, of);
        return std::move(*token);
    }
    Instant until() const { return until_; }

private:
    // The tokens of one answer have one key, as a rule: its certificates are judged once.
    std::optional<Instant> certified(const std::pair<const std::string, NvidiaKeySet::Key>& key) {
        const auto found = certified_.find(key.first);
        if (found != certified_.end()) return found->second;
        return certified_.emplace(key.first, certified_until(key.second, policy_, at_))
            .first->second;
    }
    bool judge_signature(const NvidiaToken& token, const std::string& of) {
        if (!list_.check("token_algorithm", token.algorithm == only_algorithm,
                         "the token is signed by ES384" + of,
                         "the token's algorithm is " + shown(token.algorithm) +
                             ", and only ES384 is accepted" + of))
            return false;
        const auto key = keys_.keys.find(token.key_id);
        if (!list_.check("token_key", key != keys_.keys.end(),
                         "the key set holds the token's key" + of,
                         "the key set does not hold the key " + shown(token.key_id) +
                             ": fetch the service's key set of that day" + of))
            return false;
        if (!policy_.key_set_trusted) {
            const auto until = certified(*key);
            list_.check("token_key_certificate", until.has_value(),
                        "the service's authority certifies the token's key" + of,
                        "no pinned authority certifies the token's key now" + of);
            if (until) until_ = std::min(until_, *until);
        }
        return list_.check("token_signature",
                           key->second.key.verify_ecdsa(Hash::sha384, as_bytes(token.signed_text),
                                                        token.signature),
                           "the service signed the token" + of,
                           "the signature is not the key's over this token" + of);
    }
    void judge_claims(const NvidiaToken& token, const std::string& of) {
        list_.check("token_issuer", token.issuer == policy_.issuer,
                    "the issuer is the service" + of, "the issuer is another" + of);
        const std::int64_t from = token.not_before.value_or(unix_seconds_max);
        const std::int64_t until = std::min(token.expires.value_or(0), unix_seconds_max);
        list_.check("token_not_yet_valid", from <= at_.unix_seconds(),
                    "the token is valid already" + of,
                    "the token is not valid yet, or does not say from when" + of);
        // RFC 7519, 4.1.4: not on or after that time.
        list_.check("token_expired", at_.unix_seconds() < until, "the token is still valid" + of,
                    "the token has expired, or does not say when it does" + of);
        until_ = std::min(until_, Instant{} + seconds(std::max<std::int64_t>(until, 0)));
        list_.check("token_nonce", token.nonce == nonce_, "the token answers this challenge" + of,
                    "the token answers another challenge, or none" + of);
    }

    Checklist& list_;
    const NvidiaKeySet& keys_;
    const std::string nonce_;
    const NvidiaTokenPolicy& policy_;
    const Instant at_;
    Instant until_{INT64_MAX};
    std::map<std::string, std::optional<Instant>> certified_;  // by key id
};

// The device tokens are exactly those that the overall token names, each with the digest it names.
bool same_devices(Checklist& list, const NvidiaToken& overall, const NvidiaAnswer& answer) {
    const auto same_name = [](const auto& a, const auto& b) { return a.first == b.first; };
    if (!list.check("token_devices",
                    !answer.devices.empty() &&
                        std::equal(overall.digests->begin(), overall.digests->end(),
                                   answer.devices.begin(), answer.devices.end(), same_name),
                    "the device tokens are those that the overall token names",
                    "the device tokens are not those that the overall token names"))
        return false;
    bool right = true;
    for (const auto& [name, token] : answer.devices)
        right = list.check("token_digest",
                           overall.digests->find(name)->second == sha256(as_bytes(token)),
                           "the overall token names this token (" + name + ")",
                           "the overall token names another token (" + name + ")") &&
                right;
    return right;
}

bool claims_good(const NvidiaTokenDevice& device) {
    return device.measurements == "success" && device.secure_boot == true &&
           device.debug == "disabled" && device.nonce_matches.value_or(true) &&
           device.signature_right.value_or(true);
}

bool product_accepted(const NvidiaTokenPolicy& policy, const std::string& product) {
    return std::any_of(policy.products.begin(), policy.products.end(), [&](const std::string& one) {
        return product == one || product.starts_with(one + " ");
    });
}

void judge_device(Checklist& list, const NvidiaTokenPolicy& policy,
                  const NvidiaTokenDevice& device) {
    const std::string of = " (" + device.name + ")";
    list.check(
        "device_claims", claims_good(device),
        "measurements match, secure boot is on and debugging off" + of,
        "the service found that measurements differ, secure boot is off or debugging on" + of);
    if (!policy.products.empty())
        list.check("product_accepted", product_accepted(policy, device.product),
                   "the policy accepts the product" + of,
                   "the policy does not accept the product " + device.product + of);
    list.check("version_denied",
               !contains(policy.denied_versions, device.driver_version) &&
                   !contains(policy.denied_versions, device.vbios_version),
               "driver and VBIOS are not denied" + of,
               "the policy denies this driver or VBIOS version" + of);
    list.check("device_denied",
               !contains(policy.denied_devices, device.leaf_serial) &&
                   !contains(policy.denied_devices, "nvidia-certificate-" + device.leaf_serial),
               "the device is not denied" + of, "the policy denies this device" + of);
}

void judge_policy(const NvidiaTokenPolicy& policy, NvidiaTokenResult& out) {
    Checklist list;
    list.check("overall_result", out.overall == "true", "the service's overall result is good",
               "the service's overall result is " + out.overall + ", which is not true");
    std::set<std::string> serials;
    bool unique = true;
    for (const NvidiaTokenDevice& device : out.devices) {
        judge_device(list, policy, device);
        unique = serials.insert(device.leaf_serial).second && unique;
    }
    list.check("device_duplicate", unique, "every token is of another device",
               "two tokens are of the same device");
    out.policy_reasons = list.take_reasons();
}

void verify_tokens(Checklist& list, Judge& judge, const NvidiaAnswer& answer,
                   NvidiaTokenResult& out) {
    const auto overall = judge.judge(answer.overall, overall_name);
    if (!overall) return;
    if (!list.check("token_overall", overall->overall && overall->digests,
                    "the first token is an overall one",
                    "the first token is no overall one: it names no result or no devices"))
        return;
    if (!same_devices(list, *overall, answer)) return;
    for (const auto& [name, compact] : answer.devices) {
        auto token = judge.judge(compact, name);
        if (!token) return;
        token->device.name = name;
        out.devices.push_back(std::move(token->device));
    }
    out.overall = *overall->overall;
    out.claims_version = overall->claims_version;
    out.valid_until = judge.until();
}

}  // namespace

bool NvidiaTokenResult::acceptable() const {
    return status == Status::proven &&
           std::none_of(policy_reasons.begin(), policy_reasons.end(),
                        [](const Reason& reason) { return reason.outcome == Outcome::failed; });
}

NvidiaTokenResult verify_nvidia_answer(std::string_view text, const NvidiaKeySet& keys,
                                       const NvidiaNonce& nonce, const NvidiaTokenPolicy& policy,
                                       Instant at) {
    NvidiaTokenResult out;
    Checklist list;
    const auto answer = parse_nvidia_answer(text);
    if (list.check("token_format", answer.has_value(), "the answer is well-formed",
                   answer ? "" : answer.error().detail)) {
        Judge judge{list, keys, nonce, policy, at};
        verify_tokens(list, judge, *answer, out);
    }
    if (list.status() == Status::proven) {
        judge_policy(policy, out);
    } else {
        out = {};
    }
    out.status = list.status();
    out.reasons = list.take_reasons();
    out.not_proven = nvidia_claims_not_proven();
    return out;
}

}  // namespace cocoon::attestation
