// What settlement costs on one core: building, signing and writing a batch of 200 payouts, reading
// it back as a provider's answer, signing, verifying and accepting a voucher. The anchors are one
// bare Ed25519 signature and verification, which a batch and a voucher cannot cost less than.
// Prints one JSON object: microseconds, medians of rounds.
#include "bench/figure.hpp"
#include "settlement/boc.hpp"
#include "settlement/channel.hpp"
#include "settlement/comment.hpp"
#include "settlement/highload_wallet.hpp"

namespace {

using namespace cocoon;
using namespace cocoon::settlement::ton;
using bench::Figure;
using bench::give_up;
using bench::now_ns;

constexpr int rounds = 7;
constexpr std::size_t batch_payouts = 200;

std::vector<OutAction> payouts() {
    std::vector<OutAction> actions;
    for (std::size_t i = 0; i < batch_payouts; ++i) {
        Transfer transfer;
        transfer.to.id.fill(static_cast<std::uint8_t>(i));
        transfer.value = Nano{1'000'000'000 + static_cast<std::int64_t>(i)};
        transfer.body = text_comment("pay_" + std::to_string(1'000'000 + i));
        actions.push_back({internal_message(transfer), usual_mode});
    }
    return actions;
}

void check(bool holds, const char* what) {
    if (!holds) give_up(what);
}

}  // namespace

int main() {
    const SigningKey key = SigningKey::from_seed(Bytes(32, 7)).value();
    const HighloadWallet wallet{key, 3600};
    const auto make_batch = [&] {
        return write_boc(wallet.batch({7, 1'795'000'000}, payouts(), Nano{50'000'000}).value());
    };
    const Bytes batch = make_batch();
    const Voucher voucher{Network::mainnet, wallet.address(), Nano{5'000'000'000}, 9};
    const Signature signature = sign(key, voucher);
    const Hash hash = voucher.cell()->hash();
    const Signature bare = key.sign(hash);
    ChannelTerms terms;
    terms.payer_key = key.public_key();
    const ChannelStatus funded{ChannelStage::open, Nano{10'000'000'000}, {}, 0};
    PayeeChannel channel{terms, Network::mainnet, funded};
    SignedVoucher promised{{Network::mainnet, channel.address(), Nano{5'000'000'000}, 9}, {}};
    promised.signature = sign(key, promised.voucher);

    std::vector<Figure> figures{
        {"batch_200_build_sign_write_us", 20, [&] { check(!make_batch().empty(), "no batch"); }},
        {"batch_200_read_us", 20,
         [&] {
             const auto message = Message::parse(parse_boc(batch, message_boc_limits).value());
             const auto request = HighloadRequest::parse(message.value());
             const auto inner = Message::parse(request.value().action.message, true);
             check(HighloadBatch::parse(inner.value().body)->actions.size() == batch_payouts,
                   "batch");
         }},
        {"voucher_sign_us", 200, [&] { check(sign(key, voucher) == signature, "signature"); }},
        {"voucher_verify_us", 200,
         [&] { check(verify(key.public_key(), voucher, signature), "voucher"); }},
        {"voucher_accept_us", 200,
         [&] { check(channel.accept(promised).has_value(), "voucher not accepted"); }},
        {"bare_sign_us", 200, [&] { check(key.sign(hash) == bare, "bare signature"); }},
        {"bare_verify_us", 200,
         [&] { check(verify_signature(key.public_key(), hash, bare), "bare verification"); }},
    };
    for (int i = 0; i < rounds; ++i)
        for (Figure& figure : figures) figure.round();
    std::printf("{\"batch_bytes\": %zu", batch.size());
    for (Figure& figure : figures) std::printf(", \"%s\": %.1f", figure.name, figure.median());
    std::printf("}\n");
}
