#include "db/channels.hpp"

#include <algorithm>

#include "db/connection.hpp"

namespace cocoon::db {
namespace {

using namespace settlement::ton;

const std::string channel_columns =
    "select account, address, payer_key, payer, challenge_seconds, cap_nano, salt, stage, "
    "deposited_nano, claimed_nano, close_at, promised_nano, sequence, signature, opened_at "
    "from channels ";
// One account's registrations wait for each other, so that two at once do not pass the limit.
const Statement lock_channel_account{"lock_channel_account",
                                     "select pg_advisory_xact_lock(1128812366, $1::bigint::int)"};
const Statement open_channel{
    "open_channel",
    "insert into channels (account, address, payer_key, payer, challenge_seconds, cap_nano, salt, "
    "opened_at) select $1::bigint, $2::text, $3::bytea, $4::text, $5::bigint, $6::bigint, "
    "$7::bigint, $8::bigint where (select count(*) from channels where account = $1::bigint and "
    "stage < 2) < $9::bigint on conflict do nothing"};
const Statement find_channel{"find_channel", channel_columns + "where address = $1::text"};
const Statement list_channels{
    "list_channels", channel_columns + "where account = $1::bigint order by opened_at, address"};
const Statement find_channel_memo{"find_channel_memo",
                                  "select a.deposit_memo from channels c join accounts a "
                                  "on a.id = c.account where c.address = $1::text"};
const Statement promise_channel{
    "promise_channel",
    "update channels set promised_nano = $3::bigint, sequence = $4::bigint, signature = $5::bytea "
    "where address = $1::text and promised_nano = $2::bigint"};
const Statement report_channel{
    "report_channel",
    "update channels set stage = greatest(stage, $2::bigint), deposited_nano = "
    "greatest(deposited_nano, $3::bigint), claimed_nano = greatest(claimed_nano, $4::bigint), "
    "close_at = greatest(close_at, $5::bigint) where address = $1::text"};
const Statement channels_to_claim{
    "channels_to_claim",
    channel_columns +
        "where stage < 2 and (stage = 1 or (promised_nano > claimed_nano and deposited_nano > "
        "claimed_nano)) and claim_sent_at < case stage when 0 then $1::bigint else $2::bigint end "
        "order by claim_sent_at, address limit $3::bigint"};
const Statement note_claims{
    "note_channel_claims",
    "update channels set claim_sent_at = $2::bigint where address = any($1::text[])"};

std::int64_t number(std::uint64_t value) { return static_cast<std::int64_t>(value); }

template <std::size_t size>
std::array<std::uint8_t, size> array_of(ByteView bytes) {
    std::array<std::uint8_t, size> array{};
    std::copy_n(bytes.begin(), std::min(size, bytes.size()), array.begin());
    return array;
}

Address address_of(std::string_view raw) {
    const auto parsed = parse_address(raw);
    if (!parsed) throw Failure{"channels holds an address that is none", ""};
    return parsed->address;
}

ChannelRow row_at(const Rows& rows, std::size_t i, const ChannelPayee& payee, Network network) {
    ChannelRow row;
    row.account = AccountId{static_cast<std::uint64_t>(rows.integer(i, 0))};
    row.address = std::string{rows.text(i, 1)};
    row.terms.payer_key = array_of<32>(rows.bytes(i, 2));
    row.terms.payee_key = payee.key;
    row.terms.payer = address_of(rows.text(i, 3));
    row.terms.payee = payee.wallet;
    row.terms.challenge_seconds = static_cast<std::uint32_t>(rows.integer(i, 4));
    row.terms.cap = Nano{rows.integer(i, 5)};
    row.terms.salt = static_cast<std::uint64_t>(rows.integer(i, 6));
    row.status.stage = static_cast<ChannelStage>(rows.integer(i, 7));
    row.status.deposited = Nano{rows.integer(i, 8)};
    row.status.claimed = Nano{rows.integer(i, 9)};
    row.status.close_at = static_cast<std::uint32_t>(rows.integer(i, 10));
    if (!rows.null(i, 13)) {
        const Voucher voucher{network, address_of(row.address), Nano{rows.integer(i, 11)},
                              static_cast<std::uint64_t>(rows.integer(i, 12))};
        row.best = SignedVoucher{voucher, array_of<64>(rows.bytes(i, 13))};
    }
    row.opened_at = Instant{rows.integer(i, 14)};
    return row;
}

std::vector<ChannelRow> rows_of(const Rows& rows, const ChannelPayee& payee, Network network) {
    std::vector<ChannelRow> found;
    for (std::size_t i = 0; i < rows.size(); ++i) found.push_back(row_at(rows, i, payee, network));
    return found;
}

}  // namespace

bool Channels::open(const ChannelRow& channel, std::uint32_t account_max) {
    const std::int64_t account = number(channel.account.value);
    Parameters parameters;
    parameters.add(account).add_text(channel.address).add_bytes(channel.terms.payer_key);
    parameters.add_text(channel.terms.payer.raw());
    parameters.add(std::int64_t{channel.terms.challenge_seconds}).add(channel.terms.cap.value);
    parameters.add(number(channel.terms.salt)).add(channel.opened_at.us);
    parameters.add(std::int64_t{account_max});
    Pool::Lease lease = pool_.take();
    Transaction transaction{*lease};
    lease->run(lock_channel_account, Parameters{}.add(account % INT32_MAX));
    const bool opened = lease->run(open_channel, parameters).affected() > 0;
    transaction.commit();
    return opened;
}

std::optional<ChannelRow> Channels::find(const std::string& address) {
    Pool::Lease lease = pool_.take();
    const Rows rows = lease->run(find_channel, Parameters{}.add_text(address));
    if (rows.empty()) return std::nullopt;
    return row_at(rows, 0, payee_, network_);
}

std::vector<ChannelRow> Channels::of(AccountId account) {
    Pool::Lease lease = pool_.take();
    return rows_of(lease->run(list_channels, Parameters{}.add(number(account.value))), payee_,
                   network_);
}

std::optional<std::string> Channels::memo(const std::string& address) {
    Pool::Lease lease = pool_.take();
    const Rows rows = lease->run(find_channel_memo, Parameters{}.add_text(address));
    if (rows.empty()) return std::nullopt;
    return std::string{rows.text(0, 0)};
}

bool Channels::promise(const std::string& address, Nano before, const SignedVoucher& voucher) {
    Parameters parameters;
    parameters.add_text(address).add(before.value).add(voucher.voucher.amount.value);
    parameters.add(number(voucher.voucher.sequence)).add_bytes(voucher.signature);
    Pool::Lease lease = pool_.take();
    return lease->run(promise_channel, parameters).affected() > 0;
}

void Channels::report(const std::string& address, const ChannelStatus& status) {
    Parameters parameters;
    parameters.add_text(address).add(static_cast<std::int64_t>(status.stage));
    parameters.add(status.deposited.value).add(status.claimed.value);
    parameters.add(std::int64_t{status.close_at});
    Pool::Lease lease = pool_.take();
    lease->run(report_channel, parameters);
}

std::vector<ChannelRow> Channels::to_claim(Instant before, Instant closing_before,
                                           std::uint32_t rows_max) {
    Parameters parameters;
    parameters.add(before.us).add(closing_before.us).add(std::int64_t{rows_max});
    Pool::Lease lease = pool_.take();
    return rows_of(lease->run(channels_to_claim, parameters), payee_, network_);
}

void Channels::claim_sent(std::span<const std::string> addresses, Instant at) {
    ArrayBuilder list{ArrayBuilder::Type::text};
    for (const std::string& address : addresses) list.add_raw(address);
    Pool::Lease lease = pool_.take();
    lease->run(note_claims, Parameters{}.add_encoded(list.finish()).add(at.us));
}

}  // namespace cocoon::db
