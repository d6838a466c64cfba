#include "settlement/ton_chain.hpp"

#include <algorithm>

#include "settlement/comment.hpp"

namespace cocoon::settlement::ton {
namespace {

constexpr Nano own_value{50'000'000};  // travels to the wallet itself and back
// The last number stays free for a message made by hand when all else fails.
constexpr std::uint64_t queries_used = highload_queries - 1;
constexpr std::int64_t lag_seconds = 30;  // blocks lag behind the time that providers tell
constexpr std::size_t waypoints_max = 100'000;
constexpr std::size_t witnesses_wanted = 2;  // for what cannot be undone, where there are so many
constexpr int storage_parameter = 18, gas_parameter = 21, forward_parameter = 25;

Error failed(const char* why) { return refuse(ErrorCode::upstream_failed, why); }

Head head_of(const AccountView& view) { return {cursor_of(view.last), view.at, view.balance}; }

}  // namespace

TonChain::TonChain(HighloadWallet wallet, Gateway& gateway, const Clock& clock, TonOptions options)
    : wallet_{std::move(wallet)}, gateway_{gateway}, clock_{clock}, options_{std::move(options)} {}

std::string TonChain::deposit_address() const {
    return wallet_.address().friendly(false, options_.network);
}

std::string TonChain::deposit_link(const std::string& memo) const {
    return "ton://transfer/" + deposit_address() + "?text=" + memo;
}

Result<std::string> TonChain::normal_address(const std::string& address) const {
    const auto parsed = parse_address(address, options_.network);
    if (!parsed) return refuse(ErrorCode::invalid_body, parsed.error().detail);
    if (parsed->address.workchain != 0)
        return refuse(ErrorCode::invalid_body, "payouts go to workchain 0 only");
    if (parsed->address == wallet_.address())
        return refuse(ErrorCode::invalid_body, "that is the market's own wallet");
    return parsed->address.friendly(parsed->bounceable.value_or(false), options_.network);
}

bool TonChain::pays(const PayoutRow& row, const SentPayout& sent) const {
    const auto to = parse_address(row.address, options_.network);
    return to && to->address.raw() == sent.address && row.payout == sent.payout &&
           row.amount == sent.amount;
}

Result<Head> TonChain::head() {
    const auto view = gateway_.account(wallet_.address());
    if (!view) return view.error();
    view_ = *view;
    // Nothing is built before the prices are known; deposits need none.
    if (!prices_ || clock_.now() - prices_at_ >= options_.prices_interval)
        static_cast<void>(read_prices());
    return head_of(*view);
}

// All who answer show the same newest transaction; the earliest of their times counts.
Result<Head> TonChain::certain_head() {
    const std::vector<AccountView> views = gateway_.witnesses(wallet_.address());
    if (views.size() < std::min(witnesses_wanted, gateway_.providers()))
        return failed("too few providers answer to be certain of the wallet's history");
    const AccountView* earliest = &views.front();
    for (const AccountView& view : views) {
        if (view.last != views.front().last)
            return failed("the providers show different histories of the wallet");
        if (view.at < earliest->at) earliest = &view;
    }
    return head_of(*earliest);
}

Result<void> TonChain::read_prices() {
    std::array<CellRef, 3> cells;
    constexpr std::array numbers{storage_parameter, gas_parameter, forward_parameter};
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        auto cell = gateway_.parameter(numbers[i]);
        if (!cell) return cell.error();
        cells[i] = std::move(*cell);
    }
    auto storage = StoragePrices::parse(cells[0]);
    auto gas = GasPrices::parse(cells[1]);
    auto forward = ForwardPrices::parse(cells[2]);
    if (!storage || !gas || !forward) return failed("the chain's prices cannot be read");
    Prices read{std::move(*storage), *gas, *forward};
    if (prices_ && *prices_ != read) options_.prices_changed();
    prices_ = std::move(read);
    prices_at_ = clock_.now();
    return {};
}

// The page that follows `after`, oldest last, walking back from the newest transaction when there
// is no shorter way.
Result<std::vector<Transaction>> TonChain::oldest_after(const TransactionId& after,
                                                        const TransactionId& until) {
    std::erase_if(waypoints_, [&](const TransactionId& id) { return id.lt <= after.lt; });
    if (waypoints_.empty()) waypoints_.push_back(until);
    for (;;) {
        auto page = gateway_.transactions(wallet_.address(), waypoints_.back(), after.lt);
        if (!page) return page;
        while (!page->empty() && page->back().lt <= after.lt) page->pop_back();
        if (page->empty()) return failed("the wallet's history ends too early");
        const TransactionId before{page->back().previous_lt, page->back().previous_hash};
        if (before == after) return page;
        if (before.lt <= after.lt) {
            waypoints_.clear();
            return refuse(ErrorCode::wrong_state, "the cursor is not of this wallet's history");
        }
        if (waypoints_.size() >= waypoints_max) return failed("the wallet's history is too long");
        waypoints_.push_back(before);
    }
}

Result<EntryPage> TonChain::entries(const Cursor& after, const Cursor& until,
                                    std::size_t count_max) {
    ENSURE(count_max > 0);
    const auto from = id_of(after), to = id_of(until);
    if (!from || !to)
        return refuse(ErrorCode::wrong_state, "the cursor is no transaction of this chain");
    EntryPage page;
    page.next = after;
    if (*from == *to) return page;
    if (to->lt < from->lt) return failed("the provider lags behind what was seen before");
    if (to->lt == from->lt)
        return refuse(ErrorCode::wrong_state, "the cursor is not of this wallet's history");
    const auto transactions = oldest_after(*from, *to);
    if (!transactions) return transactions.error();
    for (auto it = transactions->rbegin(); it != transactions->rend(); ++it) {
        if (page.entries.size() == count_max) break;
        page.entries.push_back(entry_of(*it, wallet_.address(), options_.network));
        page.next = page.entries.back().position;
    }
    return page;
}

// An address given as a contract's gets its coins back if it refuses them, unless nothing is there
// yet.
Result<CellRef> TonChain::payout_message(const PayoutRow& row) {
    const auto to = parse_address(row.address, options_.network);
    if (!to) return refuse(ErrorCode::invalid_body, "a payout's address: " + to.error().detail);
    Transfer transfer;
    transfer.to = to->address;
    transfer.value = row.amount;
    transfer.body = text_comment(payout_comment(row.payout));
    if (to->bounceable.value_or(false)) {
        const auto view = gateway_.account(to->address);
        if (!view) return view.error();
        transfer.bounce = view->status == AccountStatus::active;
    }
    return internal_message(transfer);
}

Result<PayoutBatch> TonChain::build(std::uint64_t number, std::vector<PayoutRow> rows) {
    ENSURE(!rows.empty() && rows.size() <= batch_rows_max);
    if (!view_ || !prices_) return failed("the chain has not been seen yet");
    PayoutBatch batch;
    batch.number = number;
    std::vector<OutAction> actions;
    for (const PayoutRow& row : rows) {
        auto message = payout_message(row);
        if (!message) return message.error();
        actions.push_back({std::move(*message), usual_mode});
        batch.cost += row.amount;
    }
    batch.rows = std::move(rows);
    return signed_batch(std::move(batch), actions);
}

Result<PayoutBatch> TonChain::build_claims(std::uint64_t number,
                                           const std::vector<ChannelClaim>& claims) {
    ENSURE(!claims.empty() && claims.size() <= batch_rows_max);
    if (!view_ || !prices_) return failed("the chain has not been seen yet");
    PayoutBatch batch;
    batch.number = number;
    std::vector<OutAction> actions;
    for (const ChannelClaim& claim : claims) {
        Transfer transfer;
        transfer.to = claim.channel;
        transfer.value = claim.voucher ? channel_claim_value : channel_message_cost;
        transfer.bounce = true;
        transfer.body = claim.voucher
                            ? claim_body(number, claim.voucher->voucher.amount, *claim.voucher)
                            : finish_close_body(number);
        actions.push_back({internal_message(transfer), usual_mode});
        batch.cost += transfer.value;
    }
    return signed_batch(std::move(batch), actions);
}

Result<PayoutBatch> TonChain::signed_batch(PayoutBatch batch,
                                           std::span<const OutAction> actions) const {
    const auto timeout = std::int64_t{wallet_.timeout_seconds()};
    const std::int64_t created_at = view_->at.unix_seconds() - std::min(lag_seconds, timeout / 4);
    HighloadWallet::Query query;
    query.number = static_cast<std::uint32_t>(batch.number % queries_used);
    query.created_at = static_cast<std::uint64_t>(created_at);
    query.deploy = view_->status != AccountStatus::active;
    const auto message = wallet_.batch(query, actions, own_value);
    if (!message) return message.error();
    const auto fee = highload_batch_fee(*message, prices_->gas, prices_->forward);
    const auto parsed = Message::parse(*message);
    if (!fee || !parsed) return failed("the batch cannot be read back");
    const auto key = batch_key(*parsed);
    if (!key) return key.error();
    batch.cost += *fee + own_value;
    batch.key = *key;
    // The wallet takes it while created_at > now - timeout. A provider's clock may be ahead by the
    // skew, and a block may be behind its masterchain block by as much.
    batch.expires_at = Instant{(created_at + timeout) * 1'000'000} + options_.clock_skew_max * 2;
    const Bytes boc = write_boc(*message);
    batch.message = std::string{as_text(boc)};
    batch.message_hash = to_hex(normalised_hash(*parsed));
    return batch;
}

Result<void> TonChain::submit(const PayoutBatch& batch) {
    return gateway_.send(as_bytes(batch.message));
}

}  // namespace cocoon::settlement::ton
