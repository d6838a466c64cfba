// What the vectors cannot say: limits at their edges, refusals before signing, and what a caller
// may rely on when the data is bad.
#include <algorithm>
#include <limits>

#include "settlement/boc.hpp"
#include "settlement/comment.hpp"
#include "settlement/fees.hpp"
#include "settlement/highload_wallet.hpp"
#include "settlement/jetton.hpp"
#include "settlement/transaction.hpp"
#include "settlement/voucher.hpp"
#include "settlement/wallet.hpp"
#include "tests/catch.hpp"

using namespace cocoon;
using namespace cocoon::settlement::ton;

namespace {

const SigningKey key = SigningKey::from_seed(Bytes(32, 5)).value();

CellRef chain_of(std::size_t cells) {
    CellRef cell = Builder{}.number(0, 8).cell();
    for (std::size_t i = 1; i < cells; ++i) cell = Builder{}.number(i, 16).ref(cell).cell();
    return cell;
}

OutAction payment(std::size_t number, std::size_t comment_bytes = 6) {
    Transfer transfer;
    transfer.to.id.fill(static_cast<std::uint8_t>(number));
    transfer.to.id[1] = static_cast<std::uint8_t>(number >> 8);
    transfer.value = Nano{1'000'000};
    std::string comment = "pay_" + std::to_string(number);
    while (comment.size() < comment_bytes) comment += "." + std::to_string(number);  // none alike
    transfer.body = text_comment(comment);
    return {internal_message(transfer), usual_mode};
}

std::vector<OutAction> payments(std::size_t count, std::size_t comment_bytes = 6) {
    std::vector<OutAction> actions;
    for (std::size_t i = 0; i < count; ++i) actions.push_back(payment(i, comment_bytes));
    return actions;
}

ErrorCode code_of(const Result<CellRef>& result) {
    REQUIRE(!result);
    return result.error().code;
}

}  // namespace

TEST_CASE("a slice whose data ends gives zeros, and says so") {
    Slice slice{Builder{}.number(5, 3).cell()};
    CHECK(slice.number(3) == 5);
    CHECK(slice.finished());
    CHECK(slice.number(1) == 0);
    CHECK(!slice.good());
    CHECK(slice.ref() == nullptr);
    CHECK(slice.bytes(4) == Bytes(4));
    CHECK(slice.coins() == Nano{});
    CHECK(!slice.maybe_address());
    CHECK(slice.rest() == Cell::empty());
    CHECK(slice.bits_left() == 0);
    CHECK(!Slice{nullptr}.good());
}

TEST_CASE("numbers keep their bits across bytes") {
    Builder builder;
    for (std::size_t count = 1; count <= 40; ++count)
        builder.number((1ull << count) - 1, count).bit(false);
    Slice slice{builder.cell()};
    for (std::size_t count = 1; count <= 40; ++count) {
        CHECK(slice.number(count) == (1ull << count) - 1);
        CHECK(!slice.bit());
    }
    CHECK(Slice{Builder{}.number(0x80000000, 32).cell()}.signed_number(32) == INT32_MIN);
    CHECK(Slice{Builder{}.number(~0ull, 64).cell()}.signed_number(64) == -1);
    for (const std::int64_t amount :
         {std::int64_t{0}, std::int64_t{1}, std::int64_t{255}, std::int64_t{256},
          std::numeric_limits<std::int64_t>::max()}) {
        Slice coins{Builder{}.coins(Nano{amount}).cell()};
        CHECK(coins.coins() == Nano{amount});
        CHECK(coins.finished());
    }
    CHECK(!Slice{Builder{}.number(8, 4).number(~0ull, 64).cell()}.maybe_ref());
    Slice large{Builder{}.number(8, 4).number(~0ull, 64).cell()};
    large.coins();
    CHECK(!large.good());
}

TEST_CASE("the reader of bags keeps its limits") {
    const Bytes bag = write_boc(chain_of(20));
    CHECK(parse_boc(bag, {bag.size(), 20, 19}));
    CHECK(parse_boc(bag, {bag.size() - 1, 20, 19}).error().code == ErrorCode::body_too_large);
    CHECK(!parse_boc(bag, {bag.size(), 19, 19}));
    CHECK(!parse_boc(bag, {bag.size(), 20, 18}));
    CHECK(write_boc(parse_boc(bag).value()) == bag);
    for (std::size_t cut = 0; cut < bag.size(); ++cut) CHECK(!parse_boc(ByteView{bag}.first(cut)));
    for (std::size_t i = 0; i < bag.size() * 8; ++i) {
        Bytes changed = bag;
        changed[i / 8] ^= static_cast<std::uint8_t>(1u << i % 8);
        CHECK(!parse_boc(changed));
    }
}

TEST_CASE("cells are as deep as they may be and no deeper") {
    const CellRef deepest = chain_of(cell_depth_max + 1);
    CHECK(deepest->depth() == cell_depth_max);
    CHECK(!Cell::make({}, 0, std::vector{deepest}));
    CHECK(!Cell::make(Bytes(128), 1024, {}));
    CHECK(!Cell::make({}, 0, std::vector(5, Cell::empty())));
    CHECK(to_hex(Cell::empty()->hash()) ==
          "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7");
}

TEST_CASE("a shared cell travels once, however many paths lead to it") {
    CellRef cell = Builder{}.number(1, 1).cell();
    for (std::size_t i = 0; i < 16; ++i)
        cell = Builder{}.number(i, 5).ref(cell).ref(cell).ref(cell).ref(cell).cell();
    const Bytes bag = write_boc(cell);
    CHECK(bag.size() < 200);
    CHECK(parse_boc(bag).value()->hash() == cell->hash());
    CHECK(message_usage(cell).cells == 16);
}

TEST_CASE("a comment is read up to its limit") {
    CHECK(read_comment(text_comment(std::string(comment_bytes_max, 'a')))->size() ==
          comment_bytes_max);
    CHECK(!read_comment(text_comment("abcd"), 3));
    CHECK(read_comment(text_comment("abc"), 3) == "abc");
    CHECK(read_comment(text_comment("")) == "");
    CHECK(!read_comment(Cell::empty()));
}

TEST_CASE("weak keys verify nothing") {
    PublicKey zero{}, identity{};
    identity[0] = 1;
    CHECK(is_weak_key(zero));
    CHECK(is_weak_key(identity));
    identity[31] = 0x80;
    CHECK(is_weak_key(identity));
    CHECK(!is_weak_key(key.public_key()));
    CHECK(!verify_signature(zero, as_bytes("x"), Signature{}));
    const Signature signature = key.sign(as_bytes("x"));
    CHECK(verify_signature(key.public_key(), as_bytes("x"), signature));
    CHECK(!verify_signature(key.public_key(), as_bytes("y"), signature));
    CHECK(!SigningKey::from_seed(Bytes(31)));
}

TEST_CASE("a voucher is for one network, one channel and one total") {
    const Voucher voucher{Network::mainnet, {}, Nano{5}, 1};
    const Signature signature = sign(key, voucher);
    CHECK(verify(key.public_key(), voucher, signature));
    CHECK(Voucher::parse(voucher.cell()).value() == voucher);
    Voucher other = voucher;
    other.network = Network::testnet;
    CHECK(!verify(key.public_key(), other, signature));
    other = voucher;
    other.channel.id[0] = 1;
    CHECK(!verify(key.public_key(), other, signature));
    other = voucher;
    other.amount = Nano{6};
    CHECK(!verify(key.public_key(), other, signature));
    other.amount = Nano{-1};
    CHECK(!verify(key.public_key(), other, signature));
    CHECK(!verify(PublicKey{}, voucher, signature));
    const Statement statement{Network::mainnet, {}, {}, Nano{-1}, 1};
    CHECK(!verify(key.public_key(), statement, signature));
    CHECK(!Statement::parse(voucher.cell()));
    CHECK(!Voucher::parse(Cell::empty()));
}

TEST_CASE("highload batches are refused before they are sent") {
    const HighloadWallet wallet{key, 3600};
    const Nano value{50'000'000};
    CHECK(wallet.batch({1, 1'795'000'000}, payments(highload_actions_max), value));
    CHECK(code_of(wallet.batch({1, 0}, {}, value)) == ErrorCode::invalid_body);
    CHECK(code_of(wallet.batch({1, 0}, payments(highload_actions_max + 1), value)) ==
          ErrorCode::invalid_body);
    CHECK(code_of(wallet.batch({highload_queries, 0}, payments(1), value)) ==
          ErrorCode::invalid_body);
    CHECK(wallet.batch({highload_queries - 1, 0}, payments(1), value));
    CHECK(code_of(wallet.batch({1, 0}, payments(254, 500), value)) ==
          ErrorCode::invalid_body);  // 65,535 bytes
    CHECK(wallet.batch({1, 0}, payments(200, 100), value));

    CHECK(wallet.single({2, 0}, payment(1)));
    Transfer with_state;
    with_state.init = wallet.state();
    CHECK(code_of(wallet.single({2, 0}, {internal_message(with_state), 3})) ==
          ErrorCode::invalid_body);
    CHECK(code_of(wallet.single({highload_queries, 0}, payment(1))) == ErrorCode::invalid_body);
}

TEST_CASE("the same batch is the same bytes, and another query is not") {
    const HighloadWallet wallet{key, 3600};
    const auto bytes = [&](std::uint32_t query, std::uint64_t at) {
        return write_boc(wallet.batch({query, at}, payments(10), Nano{1}).value());
    };
    CHECK(bytes(7, 100) == bytes(7, 100));
    CHECK(bytes(7, 100) != bytes(8, 100));
    CHECK(bytes(7, 100) != bytes(7, 101));
}

TEST_CASE("a request with the mark that no query has is not one") {
    const CellRef inner = Builder{}
                              .number(1, 32)
                              .ref(Cell::empty())
                              .number(3, 8)
                              .number(0, 13)
                              .number(1023, 10)
                              .number(0, 64)
                              .number(60, 22)
                              .cell();
    const CellRef body = Builder{}.bytes(Bytes(64)).ref(inner).cell();
    const auto message = Message::parse(external_message({}, std::nullopt, body)).value();
    CHECK(!HighloadRequest::parse(message));
    HighloadBatch batch;
    batch.query_id = 1023;
    CHECK(!batch.query());
    batch.query_id = 1ull << 23;
    CHECK(!batch.query());
    batch.query_id = (1ull << 23) - 2;
    CHECK(batch.query() == highload_queries - 1);
}

TEST_CASE("action lists of anything else are refused") {
    const auto list = payments(3);
    const auto read = parse_out_list(out_list(list)).value();
    REQUIRE(read.size() == 3);
    for (std::size_t i = 0; i < 3; ++i) CHECK(read[i].message == list[i].message);
    CHECK(parse_out_list(Cell::empty()).value().empty());
    const CellRef message = Cell::empty();
    CHECK(!parse_out_list(
        Builder{}.number(0x0EC3C86E, 32).number(3, 8).ref(Cell::empty()).ref(message).cell()));
    CHECK(!parse_out_list(Builder{}.number(0x0EC3C86D, 32).number(3, 8).ref(Cell::empty()).cell()));
    CHECK(!parse_out_list(
        Builder{}.number(0x0EC3C86D, 32).number(3, 9).ref(Cell::empty()).ref(message).cell()));
    CellRef long_list = out_list(payments(actions_max));
    CHECK(parse_out_list(long_list));
    long_list = Builder{}.number(0x0EC3C86D, 32).number(3, 8).ref(long_list).ref(message).cell();
    CHECK(!parse_out_list(long_list));
}

TEST_CASE("wallets refuse what their contracts would") {
    const TransferTerms terms{1, 2, 3};
    CHECK(!sign_transfer(WalletKind::v3r2, key, terms, {}));
    CHECK(!sign_transfer(WalletKind::v3r2, key, terms, payments(5)));
    CHECK(!sign_transfer(WalletKind::v4r2, key, terms, payments(5)));
    CHECK(sign_transfer(WalletKind::v5r1, key, terms, payments(255)));
    OutAction strict = payment(1);
    strict.mode = pay_fees_separately;
    CHECK(!sign_transfer(WalletKind::v5r1, key, terms, {{strict}}));
    CHECK(sign_transfer(WalletKind::v4r2, key, terms, {{strict}}));
}

TEST_CASE("a wallet's data is read at any time of its life, and only with known code") {
    for (const WalletKind kind : {WalletKind::v3r2, WalletKind::v4r2, WalletKind::v5r1}) {
        StateInit state = wallet_state(kind, key.public_key(), 77);
        CHECK(read_wallet(state) == WalletData{0, 77, key.public_key()});
        Builder later;
        if (kind == WalletKind::v5r1) later.bit(true);
        later.number(41, 32).number(77, 32).bytes(key.public_key());
        if (kind != WalletKind::v3r2) later.maybe_ref(Cell::empty());
        state.data = later.cell();
        CHECK(read_wallet(state) == WalletData{41, 77, key.public_key()});
        state.data = Builder{}.number(0, 64).cell();
        CHECK(!read_wallet(state));
        state.data = nullptr;
        CHECK(!read_wallet(state));
    }
    CHECK(!read_wallet(HighloadWallet{key, 60}.state()));
}

TEST_CASE("fees are capped where no supply could pay them") {
    const GasPrices gas{100, 40'000, std::numeric_limits<std::uint64_t>::max()};
    CHECK(gas.fee(std::numeric_limits<std::uint64_t>::max()) ==
          Nano{std::numeric_limits<std::int64_t>::max()});
    const StoragePrices storage{{{0, ~0ull, ~0ull}}};
    CHECK(storage.fee({1 << 20, 1 << 20}, 1, ~0u) ==
          Nano{std::numeric_limits<std::int64_t>::max()});
    CHECK(storage.fee({1, 1}, 0, ~0u) == Nano{});
    CHECK(!GasPrices::parse(Cell::empty()));
    CHECK(!ForwardPrices::parse(Cell::empty()));
    CHECK(!StoragePrices::parse(Cell::empty()));
    CHECK(StoragePrices::parse(nullptr)->periods.empty());
}

TEST_CASE("what is no transaction is refused") {
    CHECK(!Transaction::parse(Cell::empty()));
    CHECK(!Transaction::parse(Builder{}.number(7, 4).cell()));
    CHECK(!Message::parse(Cell::empty()));
    CHECK(!StateInit::parse(Builder{}.number(0, 6).cell()));
    CHECK(StateInit::parse(Builder{}.number(0, 5).cell()));
    CHECK(!JettonNotification::parse(Cell::empty()));
}
