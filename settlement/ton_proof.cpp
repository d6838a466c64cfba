#include "settlement/ton_proof.hpp"

#include "settlement/wallet.hpp"

namespace cocoon::settlement::ton {
namespace {

constexpr std::size_t payload_bytes_max = 256;
constexpr BocLimits state_limits{16 << 10, 256, 64};

Error refused(const char* why) {
    return refuse(ErrorCode::forbidden, std::string{"ton_proof: "} + why);
}

void append(Bytes& out, std::string_view text) { out.insert(out.end(), text.begin(), text.end()); }

void append_little_endian(Bytes& out, std::uint64_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) out.push_back(static_cast<std::uint8_t>(value >> 8 * i));
}

bool is_timely(std::uint64_t timestamp, Instant now) {
    const std::int64_t now_seconds = now.unix_seconds();
    return timestamp <= static_cast<std::uint64_t>(now_seconds + ton_proof_ahead_max.seconds()) &&
           static_cast<std::int64_t>(timestamp) >= now_seconds - ton_proof_age_max.seconds();
}

// The key that the address's own state names.
Result<PublicKey> owner_of(const StateInit& state, const Address& address,
                           const TonProofPolicy& policy) {
    if (const auto wallet = read_wallet(state)) return wallet->owner;
    if (policy.key_on_chain)
        if (const auto key = policy.key_on_chain(address)) return *key;
    return refused("the wallet's code is unknown");
}

}  // namespace

Hash ton_proof_hash(const TonProof& proof, const Address& address) {
    Bytes message;
    append(message, "ton-proof-item-v2/");
    for (int i = 0; i < 3; ++i) message.push_back(address.workchain < 0 ? 0xFF : 0);
    message.push_back(static_cast<std::uint8_t>(address.workchain));
    message.insert(message.end(), address.id.begin(), address.id.end());
    append_little_endian(message, proof.domain.size(), 4);
    append(message, proof.domain);
    append_little_endian(message, proof.timestamp, 8);
    append(message, proof.payload);
    Bytes envelope{0xFF, 0xFF};
    append(envelope, "ton-connect");
    const Hash hash = sha256(message);
    envelope.insert(envelope.end(), hash.begin(), hash.end());
    return sha256(envelope);
}

Result<Address> verify_ton_proof(const TonProof& proof, const TonProofPolicy& policy) {
    if (proof.payload.size() > payload_bytes_max) return refused("the payload is not ours");
    if (proof.domain != policy.domain || proof.domain_bytes != proof.domain.size())
        return refused("it was made for another site");
    if (!is_timely(proof.timestamp, policy.now))
        return refused("it is too old, or from the future");
    if (proof.network != static_cast<std::int32_t>(policy.network))
        return refused("it is of another network");
    const auto text = parse_address(proof.address, policy.network);
    if (!text || text->bounceable || text->address.workchain != 0)
        return refused("the address is not a raw one in workchain 0");
    const Address& address = text->address;
    const auto root = parse_boc(proof.state_init, state_limits);
    const auto state = root ? StateInit::parse(*root) : Result<StateInit>{root.error()};
    if (!state || (*root)->hash() != address.id) return refused("the state is not the address's");
    const Result<PublicKey> owner = owner_of(*state, address, policy);
    if (!owner) return owner.error();
    if (*owner != proof.public_key) return refused("the public key is not the wallet's");
    if (!verify_signature(*owner, ton_proof_hash(proof, address), proof.signature))
        return refused("the signature is wrong");
    if (!policy.take_payload || !policy.take_payload(proof.payload))
        return refused("the payload is unknown, expired or was used before");
    return address;
}

}  // namespace cocoon::settlement::ton
