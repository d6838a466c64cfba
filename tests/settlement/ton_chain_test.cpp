// The adapter over recorded transactions of the real virtual machine: what it takes from them, what
// it refuses, and how it reads a long history. No chain and no network.
#include "settlement/ton_chain.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <fstream>

#include "settlement/comment.hpp"
#include "tests/catch.hpp"

using namespace cocoon;
using namespace cocoon::settlement;
using namespace cocoon::settlement::ton;

namespace {

constexpr Network dev_network{20261122};

struct Recorded {
    std::string name;
    RawTransaction raw;
    Transaction transaction;
};

// Every recorded transaction of an account, oldest first.
std::vector<Recorded> history_of(const std::string& account) {
    std::ifstream file{COCOON_SOURCE_DIR "/tests/settlement/vectors/transactions.json"};
    std::vector<Recorded> found;
    const auto document = nlohmann::json::parse(file);
    for (const auto& item : document["cases"]) {
        if (!item["account"].get<std::string>().starts_with(account)) continue;
        const Bytes boc = from_base64(item["boc"].get<std::string>()).value();
        auto transaction = Transaction::parse(parse_boc(boc, transaction_boc_limits).value());
        REQUIRE(transaction);
        found.push_back(
            {item["id"], {{transaction->lt, transaction->hash}, boc}, std::move(*transaction)});
    }
    REQUIRE(found.size() >= 7);
    return found;
}

Address address_of(const Recorded& recorded) { return {0, recorded.transaction.account}; }

struct StillClock final : Clock {
    Instant at = Instant{1'795'000'300'000'000};
    Instant now() const override { return at; }
};

// A provider that knows one account's history, tells `page_max` transactions at a time and can be
// made to answer otherwise.
struct Scripted final : Gateway {
    std::vector<Recorded> history;
    std::size_t page_max = 100;
    std::vector<AccountView> seen;
    std::size_t pages = 0, provider_count = 1, parameters = 0;
    AccountStatus status = AccountStatus::active;
    Instant at{1'795'000'300'000'000};
    std::vector<std::string> sent;
    Nano price{1};

    AccountView view() const {
        AccountView view{7, at, Nano{50'000'000'000}, status, {}};
        if (!history.empty()) view.last = history.back().raw.id;
        return view;
    }
    Result<AccountView> account(const Address&) override { return view(); }
    std::vector<AccountView> witnesses(const Address&) override { return seen; }
    std::size_t providers() const override { return provider_count; }
    Result<std::vector<Transaction>> transactions(const Address& address,
                                                  const TransactionId& newest,
                                                  std::uint64_t after_lt) override {
        ++pages;
        std::vector<RawTransaction> page;
        for (auto it = history.rbegin(); it != history.rend(); ++it) {
            if (it->raw.id.lt > newest.lt || it->raw.id.lt <= after_lt) continue;
            if (page.size() < page_max) page.push_back(it->raw);
        }
        return verified_page(address, newest, page);
    }
    Result<void> send(ByteView message) override {
        sent.emplace_back(as_text(message));
        return {};
    }
    Result<CellRef> parameter(int number) override {
        ++parameters;
        Builder builder;
        if (number == 21) {
            builder.number(0xDD, 8);
            for (int i = 0; i < 6; ++i) builder.number(i == 0 ? 4'369'067 : 1'000'000, 64);
        } else if (number == 25) {
            builder.number(0xEA, 8).number(66'667, 64).number(4'369'067, 64);
            builder.number(static_cast<std::uint64_t>(price.value), 64).number(0, 32);
            builder.number(21'845, 16).number(0, 16);
        } else {
            // One period since 0: a label of 32 zero bits (hml_same), and prices.
            builder.number(0b110, 3).number(32, 6).number(0xCC, 8).number(0, 32);
            for (int i = 0; i < 4; ++i) builder.number(1, 64);
        }
        return builder.cell();
    }
};

struct Adapter {
    Scripted gateway;
    StillClock clock;
    int price_changes = 0;
    TonOptions options;
    std::unique_ptr<TonChain> chain;

    Adapter() {
        options.network = dev_network;
        options.prices_changed = [this] { ++price_changes; };
        gateway.history = history_of("ea877a3f");
        const Hash seed = sha256(as_bytes("cocoon vectors highload"));
        chain = std::make_unique<TonChain>(
            HighloadWallet{SigningKey::from_seed(seed).value(), 3600}, gateway, clock, options);
    }
};

std::vector<Entry> all_entries(Chain& chain, std::size_t count_max) {
    const Head head = chain.head().value();
    std::vector<Entry> entries;
    Cursor cursor;
    while (cursor != head.position) {
        const auto page = chain.entries(cursor, head.position, count_max);
        REQUIRE(page);
        REQUIRE(page->entries.size() >= 1);
        REQUIRE(page->entries.size() <= count_max);
        entries.insert(entries.end(), page->entries.begin(), page->entries.end());
        cursor = page->next;
    }
    return entries;
}

}  // namespace

TEST_CASE("a wallet's recorded history says what happened, to the nanoton") {
    Adapter adapter;
    const auto entries = all_entries(*adapter.chain, 100);
    const std::vector<Entry::Kind> kinds{
        Entry::Kind::deposit,  Entry::Kind::accepted, Entry::Kind::executed, Entry::Kind::accepted,
        Entry::Kind::executed, Entry::Kind::accepted, Entry::Kind::executed};
    REQUIRE(entries.size() == kinds.size());
    Nano balance;
    for (std::size_t i = 0; i < kinds.size(); ++i) {
        CAPTURE(i);
        CHECK(entries[i].kind == kinds[i]);
        balance += entries[i].in - entries[i].out - entries[i].fees;
        if (kinds[i] == Entry::Kind::executed) CHECK(entries[i].batch == entries[i - 1].batch);
    }
    CHECK(entries[0].in == Nano{50'000'000'000});
    CHECK(entries[0].fees == Nano{});
    REQUIRE(entries[4].sent.size() == 5);
    for (std::size_t i = 0; i < 5; ++i) {
        CHECK(entries[4].sent[i].payout == i);
        CHECK(entries[4].sent[i].amount == Nano{10'000'000 + static_cast<std::int64_t>(i)});
    }
    CHECK(entries[6].sent.size() == 12);
    // 18 payouts of ten million and a bit, and no more than the known fees.
    const std::int64_t paid = 18 * 10'000'000 + (0 + 1 + 2 + 3 + 4) + (66);
    CHECK(balance.value < 50'000'000'000 - paid);
    CHECK(balance.value > 50'000'000'000 - paid - 10'000'000);
}

TEST_CASE("deposits are known by what stays, not by what a transaction is called") {
    const auto history = history_of("73ddf201");
    const Address wallet = address_of(history[0]);
    std::map<std::string, Entry> entries;
    for (const Recorded& recorded : history)
        entries[recorded.name] = entry_of(recorded.transaction, wallet, dev_network);
    using Kind = Entry::Kind;
    CHECK(entries["uninit-nonbounce-0"].kind == Kind::deposit);  // though it is "aborted"
    CHECK(entries["uninit-nonbounce-0"].memo == "acc_42");
    CHECK(entries["uninit-nonbounce-0"].in == Nano{2'000'000'000});
    CHECK(entries["uninit-bounce-0"].kind == Kind::other);  // went back
    CHECK(entries["uninit-bounce-0"].in ==
          entries["uninit-bounce-0"].out + entries["uninit-bounce-0"].fees);
    CHECK(entries["deploy-and-send-3"].kind == Kind::bounced);  // never a customer's
    CHECK(entries["active-plain-0"].kind == Kind::deposit);
    CHECK(entries["active-plain-0"].memo.empty());
    CHECK(entries["active-memo-0"].kind == Kind::deposit);
    CHECK(entries["active-memo-0"].memo.empty());  // too long to be one of ours
    CHECK(entries["one-nanoton-0"].in == Nano{1});
    CHECK(entries["one-nanoton-0"].memo == "x");
}

TEST_CASE("a page is believed only as far as its own cells prove it") {
    const auto history = history_of("73ddf201");
    const Address wallet = address_of(history[0]);
    std::vector<RawTransaction> page;
    for (auto it = history.rbegin(); it != history.rend(); ++it) page.push_back(it->raw);
    const TransactionId newest = page.front().id;
    REQUIRE(verified_page(wallet, newest, page));
    REQUIRE(verified_page(wallet, newest, std::span{page}.first(3)));
    const auto refused = [&](const char* what, const std::vector<RawTransaction>& lie,
                             const TransactionId& from) {
        CAPTURE(what);
        const auto read = verified_page(wallet, from, lie);
        REQUIRE_FALSE(read);
        CHECK(read.error().code == ErrorCode::upstream_failed);
    };
    refused("nothing", {}, newest);
    refused("another beginning", page, page[1].id);
    auto lie = page;
    lie.erase(lie.begin() + 2);
    refused("a gap", lie, newest);
    lie = page;
    std::swap(lie[1], lie[2]);
    refused("another order", lie, newest);
    lie = page;
    lie[3].id.hash[0] ^= 1;
    refused("another hash", lie, newest);
    lie = page;
    lie[3].id.lt += 1;
    refused("another time", lie, newest);
    lie = page;
    lie[2].boc[lie[2].boc.size() / 2] ^= 1;
    refused("a changed byte", lie, newest);
    lie = page;
    lie.push_back(page.back());
    refused("more than there is", lie, newest);
    refused("another account's", {history_of("ea877a3f").back().raw},
            history_of("ea877a3f").back().raw.id);
}

TEST_CASE("a long history is walked back once and read from its old end") {
    Adapter whole;
    const auto expected = all_entries(*whole.chain, 100);
    for (const std::size_t page_max : {1, 2, 3, 6, 7}) {
        for (const std::size_t count_max : {1, 2, 5, 100}) {
            CAPTURE(page_max, count_max);
            Adapter adapter;
            adapter.gateway.page_max = page_max;
            CHECK(all_entries(*adapter.chain, count_max) == expected);
            // Walking back costs each page once, reading it once for each part of it taken.
            CHECK(adapter.gateway.pages <= 7 / page_max + 1 + 7 + 7 / count_max);
        }
    }
}

TEST_CASE("a cursor of another wallet or another chain is refused, an older view is not believed") {
    Adapter adapter;
    const Head head = adapter.chain->head().value();
    const std::string zeros(64, '0');
    const std::pair<Cursor, ErrorCode> wrong[] = {
        {{18'000'000, zeros}, ErrorCode::wrong_state},      // its hash is another
        {{18'500'000, zeros}, ErrorCode::wrong_state},      // between two of ours
        {{30'000'000, zeros}, ErrorCode::wrong_state},      // the newest, and not
        {{18'000'000, "dev"}, ErrorCode::wrong_state},      // no hash
        {{0, zeros}, ErrorCode::wrong_state},               // no beginning
        {{31'000'000, zeros}, ErrorCode::upstream_failed},  // newer than the view: it lags
    };
    for (const auto& [cursor, code] : wrong) {
        CAPTURE(cursor.lt);
        const auto page = adapter.chain->entries(cursor, head.position, 10);
        REQUIRE_FALSE(page);
        CHECK(page.error().code == code);
    }
    CHECK(adapter.chain->entries({}, head.position, 10));  // and it recovers
}

TEST_CASE("a batch is built once from the same facts, and its key is what the history shows") {
    Adapter adapter;
    const std::string to = Address{0, sha256(as_bytes("somebody"))}.friendly(false, dev_network);
    REQUIRE_FALSE(adapter.chain->build(1, {{4, to, Nano{5}}}));  // nothing was seen yet
    REQUIRE(adapter.chain->head());
    const std::vector<PayoutRow> rows{{4, to, Nano{5'000'000}}, {5, to, Nano{6'000'000}}};
    const auto batch = adapter.chain->build(3, rows);
    REQUIRE(batch);
    CHECK(*adapter.chain->build(3, rows) == *batch);
    CHECK(adapter.chain->build(4, rows)->key != batch->key);
    CHECK(batch->cost > Nano{61'000'000});  // with what travels along
    CHECK(batch->cost < Nano{63'000'000});
    // created 30 s back, good for an hour, and two minutes of clocks that differ.
    CHECK(batch->expires_at == adapter.gateway.at + seconds(3600 - 30 + 120));
    const auto cell = parse_boc(as_bytes(batch->message), message_boc_limits);
    REQUIRE(cell);
    const auto message = Message::parse(*cell);
    REQUIRE(message);
    CHECK(batch_key(*message).value() == batch->key);
    CHECK_FALSE(message->init);
    REQUIRE(adapter.chain->submit(*batch));
    CHECK(adapter.gateway.sent == std::vector{batch->message});
    adapter.gateway.status = AccountStatus::uninitialised;
    REQUIRE(adapter.chain->head());
    const auto first = adapter.chain->build(3, rows);
    CHECK(Message::parse(*parse_boc(as_bytes(first->message)))->init);
    CHECK(first->key == batch->key);
}

TEST_CASE("only what providers agree on is certain") {
    Adapter adapter;
    const AccountView view = adapter.gateway.view();
    AccountView other = view, later = view;
    other.last.lt += 1;
    later.at = later.at + seconds(5);
    adapter.gateway.provider_count = 2;
    const std::pair<std::vector<AccountView>, bool> table[] = {
        {{}, false},          {{view}, false},       {{view, other}, false},
        {{view, view}, true}, {{later, view}, true}, {{view, view, other}, false},
    };
    for (const auto& [seen, certain] : table) {
        adapter.gateway.seen = seen;
        const auto head = adapter.chain->certain_head();
        CHECK(head.has_value() == certain);
        if (head) CHECK(head->at == view.at);  // the earliest of their times
    }
    adapter.gateway.provider_count = 1;
    adapter.gateway.seen = {view};
    CHECK(adapter.chain->certain_head());
}

TEST_CASE("prices are read at the start and hourly, and a change is told") {
    Adapter adapter;
    REQUIRE(adapter.chain->head());
    REQUIRE(adapter.chain->head());
    CHECK(adapter.gateway.parameters == 3);
    adapter.clock.at = adapter.clock.at + hours(1);
    REQUIRE(adapter.chain->head());
    CHECK(adapter.gateway.parameters == 6);
    CHECK(adapter.price_changes == 0);
    adapter.gateway.price = Nano{2};
    adapter.clock.at = adapter.clock.at + hours(1);
    REQUIRE(adapter.chain->head());
    CHECK(adapter.price_changes == 1);
}

TEST_CASE("payout addresses keep their kind, and only those that can be paid are taken") {
    Adapter adapter;
    const Address address{0, sha256(as_bytes("somebody"))};
    for (const bool bounceable : {false, true}) {
        const std::string text = address.friendly(bounceable, dev_network);
        CHECK(adapter.chain->normal_address(text).value() == text);
    }
    CHECK(adapter.chain->normal_address(address.raw()).value() ==
          address.friendly(false, dev_network));
    const PayoutRow row{1, address.friendly(true, dev_network), Nano{5}};
    CHECK(adapter.chain->pays(row, {1, address.raw(), Nano{5}}));
    CHECK_FALSE(adapter.chain->pays(row, {2, address.raw(), Nano{5}}));
    CHECK_FALSE(adapter.chain->pays(row, {1, address.raw(), Nano{6}}));
    CHECK_FALSE(adapter.chain->pays(row, {1, Address{}.raw(), Nano{5}}));
    for (const std::string& bad :
         {std::string{}, std::string{"dev:alice"}, Address{-1, address.id}.raw(),
          adapter.chain->deposit_address(), address.friendly(true).substr(1) + "A"}) {
        CAPTURE(bad);
        const auto refused = adapter.chain->normal_address(bad);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == ErrorCode::invalid_body);
    }
    CHECK(adapter.chain->deposit_link("abc") ==
          "ton://transfer/" + adapter.chain->deposit_address() + "?text=abc");
}

TEST_CASE("a payout's comment comes back from a bounce as its number") {
    CHECK(payout_comment(42) == "pay_42");
    CHECK(payout_comment(INT64_MAX).size() <= 28);
    const std::pair<const char*, std::optional<std::uint64_t>> table[] = {
        {"pay_42", 42}, {"pay_9223372036854775807", INT64_MAX},
        {"pay_", {}},   {"pay_9223372036854775808", {}},
        {"pay_4 ", {}}, {"pay_-4", {}},
        {"", {}},       {"memo", {}},
    };
    for (const auto& [text, payout] : table) CHECK(payout_in(text) == payout);
}
