// What an endpoint of the chain may answer: the first byte chooses the reader. A page that passes
// is checked as a wallet's history, under the account that its first transaction names.
#include <cstdint>
#include <cstdlib>

#include "server/toncenter_codec.hpp"

using namespace cocoon;
using namespace cocoon::settlement::ton;

namespace {

void read_page(std::string_view text) {
    const auto page = server::toncenter::read_transactions(text);
    if (!page || page->empty()) return;
    Address account;
    if (const auto cell = parse_boc(page->front().boc, transaction_boc_limits)) {
        if (const auto first = Transaction::parse(*cell)) account.id = first->account;
    }
    const auto history = verified_page(account, page->front().id, *page);
    if (!history) return;
    if (history->size() != page->size()) std::abort();
    for (const Transaction& transaction : *history) {
        const auto entry = entry_of(transaction, account, Network::mainnet);
        if (entry.in.value < 0 || entry.out.value < 0 || entry.fees.value < 0) std::abort();
        if (entry.memo.find('\0') != std::string::npos) std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view text = as_text({data + 1, size - 1});
    switch (data[0] % 4) {
        case 0: static_cast<void>(server::toncenter::read_account(text)); break;
        case 1: read_page(text); break;
        case 2: static_cast<void>(server::toncenter::read_parameter(text)); break;
        case 3:
            static_cast<void>(server::toncenter::read_sent(data[0] < 128 ? 200 : 500, text));
            break;
    }
    return 0;
}
