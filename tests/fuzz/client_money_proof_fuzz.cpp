// Any bytes as a proof of solvency and as signed earnings: nothing verifies, since nobody signed
// it. The readers behind the signature are reached by signing the input with the fuzzer's own key,
// and the path by putting the input's own proof beside a signed root.
#include <cstdint>
#include <cstdlib>

#include "client/money_proofs.hpp"
#include "sealing/market_statement.hpp"
#include "settlement/merkle_sum.hpp"

using namespace cocoon;
using sealing::Json;

namespace {

const sealing::SigningKey key = sealing::SigningKey::from_seed(Bytes(32, 9)).value();
const std::optional<sealing::PublicKey> pinned = key.public_key();

Json resigned(Json statement) {
    std::string message{"cocoon-market/statement/v1"};
    message += '\0' + statement.canonical();
    return Json::object(
        {{"statement", std::move(statement)},
         {"signature", Json::object({{"key_id", "k"},
                                     {"public_key", to_hex(key.public_key())},
                                     {"signature", to_hex(key.sign(as_bytes(message)))}})}});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text{reinterpret_cast<const char*>(data), size};
    const auto document = Json::parse(text, {.bytes_max = client::money_proof_bytes_max});
    if (!document) return 0;
    if (client::check_solvency(*document, pinned).valid()) std::abort();
    if (client::check_earnings(*document, *document, pinned).valid()) std::abort();
    (void)client::check_solvency(*document, std::nullopt);
    if (!document->is_object()) return 0;

    const Json* statement = document->find("statement");
    const Json signed_document = resigned(statement ? *statement : *document);
    (void)client::check_solvency(signed_document, pinned);
    (void)client::check_earnings(signed_document, signed_document, pinned);
    // A root that nothing leads to: whatever the input says its leaf and path are.
    sealing::SolvencyStatement root;
    root.accounts = 1 + size % 9;
    root.liabilities = Nano{static_cast<std::int64_t>(size)};
    Json proof = *document;
    proof.set("solvency", Json::parse(sealing::sign_statement(root, "k", key)).value());
    const client::MoneyReport report = client::check_solvency(proof, pinned);
    if (report.valid() && document->find("leaf")) std::abort();
    return 0;
}
