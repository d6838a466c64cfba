// Checks what the market says it owes: the proof of solvency, with or without one's own leaf, and
// an account's signed earnings. Pure and offline; called by the command line (`cocoon-client
// verify`, `cocoon-client proof`). It must not ask the market: whoever is checked is not asked.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "client/receipts.hpp"
#include "sealing/canonical_json.hpp"
#include "sealing/signing.hpp"

namespace cocoon::client {

constexpr std::size_t money_proof_bytes_max = 64 << 10;

struct MoneyReport {
    std::vector<ReceiptCheck> checks;
    sealing::Json facts = sealing::Json::object();  // what the signed words say; money as decimals
    bool certain = true;  // false: the market could not see what its wallet holds
    bool valid() const;   // the signature passed, and nothing failed
};

// `document`: as GET /v1/proof/solvency or GET /v1/account/proof answers. `market_key`: the
// reader's own word for it; without one the document's is used, and said to be. Checks:
// market_signature, own_leaf (the path leads to the signed root and sum), wallet (it holds what is
// owed).
MoneyReport check_solvency(const sealing::Json& document,
                           const std::optional<sealing::PublicKey>& market_key);

// `document`: as GET /v1/account/signed-statement answers; `older`: one kept from before. Checks:
// market_signature, sums, older (same account, and nothing fell).
MoneyReport check_earnings(const sealing::Json& document, const std::optional<sealing::Json>& older,
                           const std::optional<sealing::PublicKey>& market_key);

}  // namespace cocoon::client
