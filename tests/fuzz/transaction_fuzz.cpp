// Transactions, and a payment channel's cells, from any bytes: through a bag of cells, and built
// cell by cell from the input, so that the reader's depth is reached without a matching bag.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "settlement/channel.hpp"
#include "settlement/transaction.hpp"

using namespace cocoon;
using namespace cocoon::settlement::ton;

namespace {

// Takes cells off the input: bit length, number of references, data; children are the cells made
// before.
CellRef build(ByteView bytes) {
    std::vector<CellRef> made{Cell::empty()};
    while (bytes.size() >= 2 && made.size() < 64) {
        const std::size_t bits = bytes[0] * 4u;
        const std::size_t refs = bytes[1] % 5;
        bytes = bytes.subspan(2);
        if (bytes.size() * 8 < bits) break;
        std::vector<CellRef> children;
        for (std::size_t i = 0; i < refs; ++i)
            children.push_back(made[made.size() - 1 - i % made.size()]);
        auto cell = Cell::make(bytes, bits, children);
        if (!cell) break;
        bytes = bytes.subspan((bits + 7) / 8);
        made.push_back(std::move(*cell));
    }
    return made.back();
}

// A payment channel's formats: what is taken has one spelling.
void read_channel(const CellRef& cell) {
    const auto data = ChannelData::parse(cell);
    if (data && data->cell()->hash() != cell->hash()) std::abort();
    const auto agreement = Agreement::parse(cell);
    if (agreement && agreement->cell()->hash() != cell->hash()) std::abort();
    const auto notice = ChannelNotice::parse(cell);
    if (notice && notice->paid > notice->status.deposited) std::abort();
}

void read(const CellRef& cell) {
    read_channel(cell);
    const auto transaction = Transaction::parse(cell);
    if (!transaction) return;
    if (transaction->hash != cell->hash()) std::abort();
    const auto coins = received(*transaction);
    if (coins && coins->value <= 0) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (const auto root = parse_boc({data, size}, transaction_boc_limits)) read(*root);
    read(build({data, size}));
    return 0;
}
