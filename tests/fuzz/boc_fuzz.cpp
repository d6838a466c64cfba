// Any bytes where a bag of cells belongs. What is read must write and read back to the same cell,
// and every reader above it must answer without a crash: messages, states, comments, bodies,
// dictionaries.
#include <cstdint>
#include <cstdlib>

#include "settlement/actions.hpp"
#include "settlement/comment.hpp"
#include "settlement/dictionary.hpp"
#include "settlement/fees.hpp"
#include "settlement/highload_wallet.hpp"
#include "settlement/jetton.hpp"
#include "settlement/wallet.hpp"

using namespace cocoon;
using namespace cocoon::settlement::ton;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto root = parse_boc({data, size}, {1 << 16, 1 << 12, cell_depth_max, true});
    if (!root) return 0;
    const auto again = parse_boc(write_boc(*root), {1 << 20, 1 << 12, cell_depth_max, true});
    if (!again || (*again)->hash() != (*root)->hash()) std::abort();
    if (const auto message = Message::parse(*root)) {
        if (message->kind == Message::Kind::external_in) {
            (void)normalised_hash(*message);
            (void)HighloadRequest::parse(*message);
        }
        (void)read_comment(message->body);
        (void)HighloadBatch::parse(message->body);
    }
    (void)Message::parse(*root, true);
    if (const auto state = StateInit::parse(*root)) {
        if (state->cell()->hash() != (*root)->hash()) std::abort();
        (void)read_wallet(*state);
    }
    if (const auto comment = read_comment(*root))
        if (comment->size() <= 100 && read_comment(text_comment(*comment)) != comment) std::abort();
    if (const auto actions = parse_out_list(*root))
        if (out_list(*actions)->hash() != (*root)->hash()) std::abort();
    (void)JettonNotification::parse(*root);
    (void)parse_jetton_excesses(*root);
    for (const std::size_t key_bits : {1, 15, 32, 64}) (void)read_dictionary(*root, key_bits, 4096);
    (void)GasPrices::parse(*root);
    (void)ForwardPrices::parse(*root);
    (void)StoragePrices::parse(*root);
    (void)message_usage(*root);
    return 0;
}
