#include "settlement/voucher.hpp"

namespace cocoon::settlement::ton {
namespace {

constexpr std::uint32_t voucher_tag = 0x56434831;
constexpr std::uint32_t statement_tag = 0x56434832;

Builder begin(std::uint32_t tag, Network network) {
    Builder builder;
    return builder.number(tag, 32).number(static_cast<std::uint32_t>(network), 32);
}

// Whether the slice begins with `tag`; the network follows it.
bool begins(Slice& slice, std::uint32_t tag, Network& network) {
    const bool tagged = slice.number(32) == tag;
    network = static_cast<Network>(slice.signed_number(32));
    return tagged;
}

}  // namespace

CellRef Voucher::cell() const {
    return begin(voucher_tag, network).address(channel).coins(amount).number(sequence, 64).cell();
}

Result<Voucher> Voucher::parse(const CellRef& cell) {
    Slice slice{cell};
    Voucher voucher;
    const bool tagged = begins(slice, voucher_tag, voucher.network);
    voucher.channel = slice.address();
    voucher.amount = slice.coins();
    voucher.sequence = slice.number(64);
    if (!tagged || !slice.finished()) return refuse(ErrorCode::malformed_request, "not a voucher");
    return voucher;
}

CellRef Statement::cell() const {
    return begin(statement_tag, network)
        .address(vault)
        .address(provider)
        .coins(amount)
        .number(sequence, 64)
        .cell();
}

Result<Statement> Statement::parse(const CellRef& cell) {
    Slice slice{cell};
    Statement statement;
    const bool tagged = begins(slice, statement_tag, statement.network);
    statement.vault = slice.address();
    statement.provider = slice.address();
    statement.amount = slice.coins();
    statement.sequence = slice.number(64);
    if (!tagged || !slice.finished())
        return refuse(ErrorCode::malformed_request, "not a statement");
    return statement;
}

Signature sign(const SigningKey& key, const Voucher& voucher) {
    return key.sign(voucher.cell()->hash());
}

Signature sign(const SigningKey& key, const Statement& statement) {
    return key.sign(statement.cell()->hash());
}

bool verify(const PublicKey& key, const Voucher& voucher, const Signature& signature) {
    return voucher.amount.value >= 0 && verify_signature(key, voucher.cell()->hash(), signature);
}

bool verify(const PublicKey& key, const Statement& statement, const Signature& signature) {
    return statement.amount.value >= 0 &&
           verify_signature(key, statement.cell()->hash(), signature);
}

}  // namespace cocoon::settlement::ton
