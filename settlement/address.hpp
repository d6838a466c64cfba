// An account's address: its workchain and 256 bits, in every spelling people and programs use (raw
// `0:hex`, and the friendly 48 characters with flags and a checksum; TEP-2). Called by the API's
// checks, the wallets and the chain adapter; any thread. It must not know what lives at an address.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "settlement/crypto.hpp"

namespace cocoon::settlement::ton {

// The chain's own number of itself (global_id); part of what newer contracts sign. Any other number
// is a private chain, whose addresses are those of a test network.
enum class Network : std::int32_t { mainnet = -239, testnet = -3 };

struct Address {
    std::int8_t workchain = 0;
    Hash id{};

    auto operator<=>(const Address&) const = default;

    std::string raw() const;  // lower case; the form that is stored and compared
    // base64url. Non-bounceable is the form to show for wallets, bounceable for contracts.
    std::string friendly(bool bounceable, Network network = Network::mainnet) const;
};

struct AddressText {
    Address address;
    // What the friendly form says; nothing for the raw form.
    std::optional<bool> bounceable;
    bool test_only = false;
};

// `text` in any form, or malformed_request with the reason: another length than 48 or raw, mixed
// alphabets, a wrong checksum, unknown flags, a workchain that is neither 0 nor -1, and a test-only
// address on the main network.
Result<AddressText> parse_address(std::string_view text, Network network = Network::mainnet);

}  // namespace cocoon::settlement::ton
