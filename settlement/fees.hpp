// What the chain takes, from its own prices (config parameters 18, 21 and 25) with the reference
// node's exact rounding. Called before a batch is sent, when a wallet's least balance is computed,
// and to check executed transactions; any thread. Prices change (they fell sixfold in April 2026),
// so they are read from the chain and never written here.
#pragma once

#include <vector>

#include "settlement/message.hpp"

namespace cocoon::settlement::ton {

struct GasPrices {               // parameter 21
    std::uint64_t flat_gas = 0;  // up to here everything costs `flat_price`
    std::uint64_t flat_price = 0;
    std::uint64_t price_per_65536 = 0;  // nanoton for 2^16 gas
    bool operator==(const GasPrices&) const = default;

    static Result<GasPrices> parse(const CellRef& parameter);
    // Gas above the flat part costs its share, rounded up.
    Nano fee(std::uint64_t gas) const;
};

// What a message or an account consists of, each distinct cell counted once.
struct Usage {
    std::uint64_t cells = 0, bits = 0;
    bool operator==(const Usage&) const = default;
};
// Of everything below a message's root, which the lump price pays for.
Usage message_usage(const CellRef& message);

struct ForwardPrices {  // parameter 25
    std::uint64_t lump_price = 0;
    std::uint64_t bit_price_per_65536 = 0, cell_price_per_65536 = 0;
    std::uint16_t first_fraction = 0;  // of 2^16: the share of the sender's own validators
    bool operator==(const ForwardPrices&) const = default;

    static Result<ForwardPrices> parse(const CellRef& parameter);
    // For one hop, rounded up. What an external message costs its receiver is the same sum.
    Nano fee(const Usage& usage) const;
    // The part that stays in the sender's block; the rest is what Message::forward_fee shows.
    Nano first_part(Nano fee) const;
};

struct StoragePrices {  // parameter 18
    struct Period {
        std::uint32_t since = 0;                      // Unix seconds
        std::uint64_t bit_price = 0, cell_price = 0;  // nanoton for 2^16 seconds, workchain 0
        bool operator==(const Period&) const = default;
    };
    std::vector<Period> periods;  // ascending
    bool operator==(const StoragePrices&) const = default;

    static Result<StoragePrices> parse(const CellRef& parameter);
    // For keeping `usage` from `last_paid` to `now`, rounded up once. `last_paid` 0: nothing is
    // due.
    Nano fee(const Usage& usage, std::uint32_t last_paid, std::uint32_t now) const;
};

}  // namespace cocoon::settlement::ton
