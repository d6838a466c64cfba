// Wallet contracts with a sequence number: v3r2, v4r2 and v5r1. Providers and developers own such
// wallets, so their states are read (ton_proof); an operator sends by hand from them. Payouts
// go through highload_wallet, because a sequence number allows one message in flight. Any thread.
// It must not know why coins move.
#pragma once

#include <optional>

#include "settlement/actions.hpp"

namespace cocoon::settlement::ton {

enum class WalletKind : std::uint8_t { v3r2, v4r2, v5r1 };

// The number that lets one key own several wallets. v5's says which network it is for.
std::uint32_t default_wallet_id(WalletKind kind, Network network = Network::mainnet);

// The state a wallet is deployed with; its address follows from it.
StateInit wallet_state(WalletKind kind, const PublicKey& key, std::uint32_t wallet_id);

// What a wallet's data says, at any time of its life.
struct WalletData {
    std::uint32_t sequence = 0;  // of the next message
    std::uint32_t wallet_id = 0;
    PublicKey owner{};
    bool operator==(const WalletData&) const = default;
};
// Nothing, unless the code is that of a wallet we know: the three above and v3r1.
std::optional<WalletData> read_wallet(const StateInit& state);

struct TransferTerms {
    std::uint32_t wallet_id = 0;
    std::uint32_t sequence = 0;     // 0 with the state that deploys the wallet
    std::uint32_t valid_until = 0;  // Unix seconds of chain time
};

// The signed body for external_message(). invalid_body: no action or more than the wallet takes (4,
// 4, 255), or a mode without ignore_errors for v5r1, which refuses it.
Result<CellRef> sign_transfer(WalletKind kind, const SigningKey& key, const TransferTerms& terms,
                              std::span<const OutAction> actions);

}  // namespace cocoon::settlement::ton
