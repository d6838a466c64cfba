// TON Connect's `ton_proof`: a person shows that an address is theirs by signing a payload that we
// made (TON Connect specification, "Address proof signature"). Called by wallet login and by the
// check of a payout address; any thread, nothing is kept: the caller issues payloads and forgets
// each at its first use. It must not know accounts.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "core/time.hpp"
#include "settlement/message.hpp"

namespace cocoon::settlement::ton {

// As the wallet sent it, decoded but not yet believed.
struct TonProof {
    std::string address;       // raw
    std::int32_t network = 0;  // global id; JSON carries it as text
    PublicKey public_key{};
    Bytes state_init;  // bag of cells
    std::string domain;
    std::uint32_t domain_bytes = 0;  // as claimed
    std::uint64_t timestamp = 0;     // Unix seconds
    std::string payload;
    Signature signature{};
};

struct TonProofPolicy {
    std::string_view domain;  // ours
    Network network = Network::mainnet;
    Instant now;
    // Whether we issued this payload, it has not expired, and this is its first use. Asked once,
    // when all else holds, so that a forged proof cannot use up somebody's payload.
    std::function<bool(std::string_view payload)> take_payload;
    // The key a deployed account of unknown code gives for itself (`get_public_key`); may be empty.
    std::function<std::optional<PublicKey>(const Address&)> key_on_chain;
};

constexpr Duration ton_proof_age_max = minutes(15);
constexpr Duration ton_proof_ahead_max = minutes(1);

// The address that was proven, or `forbidden` with the first check that failed.
Result<Address> verify_ton_proof(const TonProof& proof, const TonProofPolicy& policy);

// What the wallet signs: SHA-256 over 0xFFFF, "ton-connect" and the hash of the message.
Hash ton_proof_hash(const TonProof& proof, const Address& address);

}  // namespace cocoon::settlement::ton
