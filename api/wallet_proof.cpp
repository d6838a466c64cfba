#include "api/wallet_proof.hpp"

#include <algorithm>

#include "api/secrets.hpp"
#include "api/used_once.hpp"

namespace cocoon::api {
namespace {

namespace ton = settlement::ton;

constexpr TextRule address_rule{66, 67};
constexpr TextRule network_rule{1, 11};
constexpr TextRule key_rule{64, 64};
constexpr TextRule state_rule{1, 22'000};  // 16 KiB in base64
constexpr TextRule domain_rule{1, 255};
constexpr TextRule payload_rule{1, 256};
constexpr TextRule signature_rule{88, 88};

// Exactly as many bytes as the place has, or a fault.
template <class Place>
void put(ObjectReader& in, std::string_view name, const std::optional<Bytes>& bytes, Place& place) {
    if (bytes && bytes->size() == place.size())
        std::copy(bytes->begin(), bytes->end(), place.begin());
    else
        in.refuse(name, "must encode " + std::to_string(place.size()) + " bytes");
}

}  // namespace

ton::TonProof read_wallet_proof(ObjectReader in) {
    ton::TonProof proof;
    proof.address = in.text("address", address_rule);
    proof.network = static_cast<std::int32_t>(in.integer("network", {INT32_MIN, INT32_MAX}));
    put(in, "public_key", from_hex(in.text("public_key", key_rule)), proof.public_key);
    const auto state = from_base64(in.text("state_init", state_rule));
    if (state)
        proof.state_init = *state;
    else
        in.refuse("state_init", "must be base64");
    proof.timestamp = static_cast<std::uint64_t>(in.integer("timestamp", {0, INT32_MAX}));
    proof.domain = in.text("domain", domain_rule);
    proof.domain_bytes = static_cast<std::uint32_t>(in.integer("domain_bytes", {0, 255}));
    proof.payload = in.text("payload", payload_rule);
    put(in, "signature", from_base64(in.text("signature", signature_rule)), proof.signature);
    return proof;
}

Result<ton::Address> proven_wallet(const ton::TonProof& proof, const Call& call,
                                   const Context& context) {
    ton::TonProofPolicy policy;
    policy.domain = context.wallet_domain;
    policy.network = static_cast<ton::Network>(context.wallet_network);
    policy.now = call.at;
    policy.take_payload = [&](std::string_view payload) {
        const auto expires_at = read_wallet_challenge(context, payload);
        return expires_at && context.used_wallet_challenges->take(payload, *expires_at, call.at);
    };
    auto address = ton::verify_ton_proof(proof, policy);
    if (address) return address;
    return refuse(ErrorCode::wallet_proof_refused, address.error().detail);
}

}  // namespace cocoon::api
