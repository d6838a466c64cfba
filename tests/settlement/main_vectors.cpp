// ton_vectors DIR: runs every case of the JSON files in DIR (or in DIR/ton) against this build's
// TON code and closes with "N passed, N failed". Exit status: 0 all passed, 1 otherwise. What a
// case checks follows from the name of its file, or of its section when a file has several; what it
// holds decides the rest. A case may spell bytes in hex or base64. Fields that we do not know are
// ignored; a case in which we find nothing to check fails.
#include <algorithm>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "sealing/canonical_json.hpp"
#include "settlement/comment.hpp"
#include "settlement/dictionary.hpp"
#include "settlement/fees.hpp"
#include "settlement/highload_wallet.hpp"
#include "settlement/jetton.hpp"
#include "settlement/mnemonic.hpp"
#include "settlement/ton_proof.hpp"
#include "settlement/transaction.hpp"
#include "settlement/voucher.hpp"
#include "settlement/wallet.hpp"

namespace {

using namespace cocoon;
using namespace cocoon::settlement::ton;
using sealing::Json;

// Why a case failed; thrown by the checks and caught where cases are counted.
struct CaseFailed {
    std::string why;
};

void expect(bool holds, std::string why) {
    if (!holds) throw CaseFailed{std::move(why)};
}

template <class T>
T take(Result<T> result, const char* what) {
    if (!result) throw CaseFailed{std::string{what} + " is refused: " + result.error().detail};
    return std::move(*result);
}

bool has(const Json& test, const char* name) {
    const Json* found = test.find(name);
    return found && !found->is_null();
}

// The first of these fields that the case has, as text; numbers are taken as spelled.
std::string text_at(const Json& test, std::initializer_list<const char*> names) {
    for (const char* name : names) {
        if (!has(test, name)) continue;
        const auto text = test.text_at(name);
        return text ? std::string{*text} : test.find(name)->serialize();
    }
    throw CaseFailed{std::string{"the case has no "} + *names.begin()};
}

std::string text_at(const Json& test, const char* name) { return text_at(test, {name}); }

std::uint64_t number_at(const Json& test, std::initializer_list<const char*> names) {
    const std::string text = text_at(test, names);
    std::uint64_t value = 0;
    const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
    expect(failure == std::errc{} && end == text.data() + text.size(), "not a number: " + text);
    return value;
}

std::uint64_t number_at(const Json& test, const char* name) { return number_at(test, {name}); }

std::string lower_case(std::string text) {
    for (char& letter : text)
        if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter + 32);
    return text;
}

Bytes bytes_of(const std::string& text) {
    if (auto hex = from_hex(lower_case(text))) return std::move(*hex);
    if (auto base64 = from_base64(text)) return std::move(*base64);
    auto base64url = from_base64url(text);
    expect(base64url.has_value(), "neither hex nor base64: " + text.substr(0, 40));
    return std::move(*base64url);
}

constexpr std::initializer_list<const char*> boc_names{"boc", "boc_base64", "boc_b64", "boc_hex",
                                                       "data"};

Bytes boc_at(const Json& test) { return bytes_of(text_at(test, boc_names)); }

CellRef cell_at(const Json& test, std::initializer_list<const char*> names) {
    return take(parse_boc(bytes_of(text_at(test, names))), *names.begin());
}

void expect_hash(const Hash& hash, const std::string& wanted, const char* what) {
    expect(to_hex(hash) == to_hex(bytes_of(wanted)),
           std::string{"another "} + what + ": " + to_hex(hash));
}

template <class Value>
void expect_equal(const Value& value, const Value& wanted, const char* what) {
    expect(value == wanted, std::string{"another "} + what);
}

// Whether the case is one to be refused.
bool refused(const Json& test) {
    for (const char* name : {"expect", "verdict", "result"})
        if (const auto text = test.text_at(name))
            return *text == "refuse" || *text == "reject" || *text == "error" ||
                   *text == "invalid" || *text == "fail" || text->starts_with("refused");
    for (const char* name : {"ok", "valid", "accept"})
        if (const auto flag = test.boolean_at(name)) return !*flag;
    return has(test, "error");
}

template <class T>
bool settled(const Result<T>& result, const Json& test) {
    if (refused(test)) {
        expect(!result, "it is taken and must not be");
        return true;
    }
    expect(result.has_value(),
           "it is refused: " + (result ? std::string{} : result.error().detail));
    return false;
}

// ---- Cells, comments, dictionaries --------------------------------------------------------------

void check_cell(const Json& test) {
    BocLimits limits;
    limits.any_level = test.integer_at("level").value_or(0) > 0;
    const Bytes bytes = boc_at(test);
    const auto cell = parse_boc(bytes, limits);
    if (settled(cell, test)) return;
    if (has(test, "hash")) expect_hash((*cell)->hash(), text_at(test, "hash"), "hash");
    if (has(test, "depth"))
        expect_equal<std::uint64_t>((*cell)->depth(), number_at(test, "depth"), "depth");
    if (test.integer_at("bits"))
        expect_equal<std::uint64_t>((*cell)->bits(), number_at(test, "bits"), "number of bits");
    if (test.integer_at("refs"))
        expect_equal<std::uint64_t>((*cell)->refs().size(), number_at(test, "refs"),
                                    "number of references");
    if (const auto exotic = test.boolean_at("exotic"))
        expect_equal((*cell)->is_exotic(), *exotic, "sort of cell");
    if (const Json* hashes = test.find("hashes"))
        for (std::size_t level = 0; level < hashes->items().size() && level < cell_levels; ++level)
            expect_hash((*cell)->hash(level),
                        std::string{hashes->items()[level].text().value_or("")}, "level's hash");
    const Bytes written = write_boc(*cell);
    if (test.boolean_at("canonical").value_or(false))
        expect(written == bytes, "it is written differently");
    expect_equal(take(parse_boc(written, limits), "what was written")->hash(), (*cell)->hash(),
                 "hash once written");
}

void check_comment(const Json& test) {
    const CellRef body = cell_at(test, {"body", "boc", "boc_base64", "boc_hex"});
    const auto read = read_comment(body);
    const Json* text = test.find("text");
    if (!text || text->is_null() || refused(test))
        return expect(!read, "a comment is read where none is");
    expect(read == text->text(), "another comment");
    if (test.boolean_at("canonical").value_or(true) && read->size() <= comment_bytes_max)
        expect_hash(body->hash(), to_hex(text_comment(*read)->hash()), "body for this comment");
}

void check_dictionary(const Json& test) {
    const auto entries =
        read_dictionary(cell_at(test, boc_names), number_at(test, "key_bits"), 100'000);
    if (settled(entries, test)) return;
    const Json* wanted = test.find("entries");
    expect(wanted && wanted->items().size() == entries->size(), "another number of entries");
    for (std::size_t i = 0; i < entries->size(); ++i) {
        const Json& entry = wanted->items()[i];
        expect(entry.items().size() == 2, "an entry is not a pair");
        expect(std::to_string((*entries)[i].key) == entry.items()[0].text(), "another key");
        Slice value = (*entries)[i].value;
        const std::uint64_t number = value.number(number_at(test, "value_bits"));
        expect(value.finished() && std::to_string(number) == entry.items()[1].text(),
               "another value");
    }
}

// ---- Addresses ----------------------------------------------------------------------------------

Network network_of(const Json& test) {
    if (!has(test, "network"))
        return test.boolean_at("test_only").value_or(false) ? Network::testnet : Network::mainnet;
    const std::string text = text_at(test, "network");
    return text == "-239" || text == "mainnet" ? Network::mainnet : Network::testnet;
}

void check_address(const Json& test) {
    const std::string text = text_at(test, {"text", "address", "input", "friendly"});
    const auto read = parse_address(text, network_of(test));
    if (settled(read, test)) return;
    if (has(test, "raw"))
        expect_equal(read->address.raw(), lower_case(text_at(test, "raw")), "raw form");
    if (const auto bounceable = test.boolean_at("bounceable"))
        if (read->bounceable) expect_equal(*read->bounceable, *bounceable, "bounceable flag");
    if (const auto test_only = test.boolean_at("test_only"))
        if (read->bounceable) expect_equal(read->test_only, *test_only, "test-only flag");
    if (read->bounceable && text.find_first_of("+/") == text.npos)
        expect_equal(read->address.friendly(*read->bounceable,
                                            read->test_only ? Network::testnet : Network::mainnet),
                     text, "friendly form");
}

// ---- Messages -----------------------------------------------------------------------------------

void check_message(const Json& test) {
    const CellRef cell = cell_at(test, boc_names);
    const auto message = Message::parse(cell);
    if (settled(message, test)) return;
    if (has(test, "hash")) expect_hash(cell->hash(), text_at(test, "hash"), "hash");
    if (has(test, "kind")) {
        const std::string kind = text_at(test, "kind");
        expect_equal(message->kind,
                     kind == "internal"       ? Message::Kind::internal
                     : kind == "external_out" ? Message::Kind::external_out
                                              : Message::Kind::external_in,
                     "kind");
    }
    const auto optional_address = [&](const char* name, const std::optional<Address>& address) {
        if (!has(test, name)) return;
        expect(address && address->raw() == lower_case(text_at(test, name)),
               std::string{"another "} + name);
    };
    optional_address("source", message->source);
    optional_address("destination", message->destination);
    if (has(test, "value")) expect_equal(message->value.text(), text_at(test, "value"), "value");
    if (const auto bounce = test.boolean_at("bounce"))
        expect_equal(message->bounce, *bounce, "bounce flag");
    if (const auto bounced = test.boolean_at("bounced"))
        expect_equal(message->bounced, *bounced, "bounced flag");
    if (has(test, "forward_fee"))
        expect_equal(message->forward_fee.text(), text_at(test, "forward_fee"), "forward fee");
    if (has(test, "created_lt"))
        expect_equal(message->created_lt, number_at(test, "created_lt"), "created_lt");
    if (has(test, "created_at"))
        expect_equal<std::uint64_t>(message->created_at, number_at(test, "created_at"),
                                    "created_at");
    if (has(test, "body_hash"))
        expect_hash(message->body->hash(), text_at(test, "body_hash"), "body");
    if (const Json* init = test.find("init_hash")) {
        expect_equal(message->init.has_value(), !init->is_null(), "presence of a state");
        if (message->init)
            expect_hash(message->init->cell()->hash(), text_at(test, "init_hash"), "state");
    }
    if (has(test, "normalised_hash") || has(test, "hash_norm")) {
        expect(message->kind == Message::Kind::external_in, "not from outside");
        expect_hash(normalised_hash(*message), text_at(test, {"normalised_hash", "hash_norm"}),
                    "normalised hash");
    }
}

// ---- Wallets ------------------------------------------------------------------------------------

std::vector<OutAction> actions_of(const Json& test) {
    const Json* transfers = test.find("transfers");
    expect(transfers && !transfers->items().empty(), "the case has no transfers");
    std::vector<OutAction> actions;
    for (const Json& json : transfers->items()) {
        Transfer transfer;
        transfer.to = take(parse_address(text_at(json, "to")), "to").address;
        const auto value = Nano::parse(text_at(json, "value"));
        expect(value && value->value >= 0, "a transfer's value is not one");
        transfer.value = *value;
        transfer.bounce = json.boolean_at("bounce").value_or(false);
        if (has(json, "comment")) transfer.body = text_comment(text_at(json, "comment"));
        if (has(json, "init"))
            transfer.init = take(StateInit::parse(cell_at(json, {"init"})), "init");
        actions.push_back(
            {internal_message(transfer), static_cast<std::uint8_t>(number_at(test, "mode"))});
        if (has(json, "message_hash"))
            expect_hash(actions.back().message->hash(), text_at(json, "message_hash"), "message");
    }
    return actions;
}

void check_external(const CellRef& message, const Json& test) {
    if (has(test, "external_hash"))
        expect_hash(message->hash(), text_at(test, "external_hash"), "message");
    if (has(test, "external"))
        expect_equal(to_base64(write_boc(message)), to_base64(bytes_of(text_at(test, "external"))),
                     "bag of cells");
    if (has(test, "normalised_hash"))
        expect_hash(normalised_hash(take(Message::parse(message), "message")),
                    text_at(test, "normalised_hash"), "normalised hash");
}

void check_wallet(const Json& test) {
    const std::string kind_text = text_at(test, {"kind", "wallet", "version"});
    expect(kind_text == "v3r2" || kind_text == "v4r2" || kind_text == "v5r1",
           "an unknown kind of wallet");
    const WalletKind kind = kind_text == "v3r2"   ? WalletKind::v3r2
                            : kind_text == "v4r2" ? WalletKind::v4r2
                                                  : WalletKind::v5r1;
    const SigningKey key = take(SigningKey::from_seed(bytes_of(text_at(test, "seed"))), "seed");
    const auto id = default_wallet_id(kind, network_of(test));
    if (has(test, "wallet_id"))
        expect_equal<std::uint64_t>(id, number_at(test, "wallet_id"), "wallet id");
    const StateInit state = wallet_state(kind, key.public_key(), id);
    expect_equal(state.address().raw(), lower_case(text_at(test, "address")), "address");
    expect(read_wallet(state) == WalletData{0, id, key.public_key()}, "its data reads differently");
    if (!has(test, "transfers")) return;
    const auto sequence = static_cast<std::uint32_t>(number_at(test, {"sequence", "seqno"}));
    const TransferTerms terms{id, sequence,
                              static_cast<std::uint32_t>(number_at(test, "valid_until"))};
    const CellRef body = take(sign_transfer(kind, key, terms, actions_of(test)), "transfer");
    if (has(test, "body_hash")) expect_hash(body->hash(), text_at(test, "body_hash"), "body");
    check_external(external_message(state.address(),
                                    sequence == 0 ? std::optional{state} : std::nullopt, body),
                   test);
}

void check_highload(const Json& test) {
    if (has(test, "code_boc"))
        return expect_hash(cell_at(test, {"code_boc"})->hash(),
                           text_at(test, {"code_hash", "hash"}), "code");
    const SigningKey key = take(SigningKey::from_seed(bytes_of(text_at(test, "seed"))), "seed");
    const auto timeout = static_cast<std::uint32_t>(number_at(test, "timeout"));
    const auto subwallet = static_cast<std::uint32_t>(number_at(test, "subwallet"));
    const HighloadWallet wallet{key, timeout, subwallet};
    expect_equal(wallet.address().raw(), lower_case(text_at(test, "address")), "address");
    const HighloadWallet::Query query{static_cast<std::uint32_t>(number_at(test, "number")),
                                      number_at(test, "created_at"),
                                      test.boolean_at("deploy").value_or(false)};
    const std::vector<OutAction> actions = actions_of(test);
    const Nano own_value = Nano::parse(text_at(test, "own_value")).value_or(Nano{});
    const CellRef message = take(wallet.batch(query, actions, own_value), "batch");
    check_external(message, test);
    const auto request =
        take(HighloadRequest::parse(take(Message::parse(message), "message")), "request");
    expect(verify_signature(key.public_key(), request.signed_hash, request.signature),
           "its signature is wrong");
    expect(request.query == query.number && request.created_at == query.created_at &&
               request.timeout_seconds == timeout && request.subwallet == subwallet,
           "it reads back differently");
    const auto inner = take(Message::parse(request.action.message, true), "message to itself");
    const auto batch = take(HighloadBatch::parse(inner.body), "batch");
    expect(std::to_string(batch.query_id) == text_at(test, "query_id") &&
               batch.query() == query.number,
           "another query id");
    expect_equal(batch.actions.size(), actions.size(), "number of actions");
    for (std::size_t i = 0; i < actions.size(); ++i)
        expect(batch.actions[i].message->hash() == actions[i].message->hash(),
               "another order of actions");
}

void check_mnemonic(const Json& test) {
    const Json* list = test.find("words");
    std::string words;
    if (list && list->is_array())
        for (const Json& word : list->items()) words += std::string{word.text().value_or("")} + " ";
    else
        words = text_at(test, {"words", "mnemonic"});
    const auto key = key_from_mnemonic(words);
    if (settled(key, test)) return;
    expect_hash(key->public_key(), text_at(test, "public_key"), "public key");
}

// ---- Jettons, proofs, fees, transactions --------------------------------------------------------

void check_jetton(const Json& test) {
    const std::string kind = text_at(test, {"kind", "op", "type"});
    const CellRef body = cell_at(test, {"body", "boc"});
    if (kind.find("excesses") != kind.npos) {
        const auto query = parse_jetton_excesses(body);
        if (!settled(query, test)) expect_equal(*query, number_at(test, "query_id"), "query id");
    } else if (kind.find("notification") != kind.npos) {
        const auto read = JettonNotification::parse(body);
        if (settled(read, test)) return;
        expect_equal(read->query_id, number_at(test, "query_id"), "query id");
        expect_equal(read->amount, number_at(test, "amount"), "amount");
        if (has(test, "sender"))
            expect(read->sender && read->sender->raw() == lower_case(text_at(test, "sender")),
                   "another sender");
        if (has(test, "payload_hash"))
            expect_hash(read->forward_payload->hash(), text_at(test, "payload_hash"), "payload");
    } else {
        expect(kind.find("transfer") != kind.npos, "an unknown kind of body");
        JettonTransfer transfer;
        transfer.query_id = number_at(test, "query_id");
        transfer.amount = number_at(test, "amount");
        transfer.to = take(parse_address(text_at(test, {"to", "destination"})), "to").address;
        if (has(test, "response"))
            transfer.excesses_to =
                take(parse_address(text_at(test, "response")), "response").address;
        transfer.forward_value = Nano::parse(text_at(test, "forward_value")).value_or(Nano{});
        if (has(test, "comment")) transfer.forward_payload = text_comment(text_at(test, "comment"));
        expect_equal(jetton_transfer(transfer)->hash(), body->hash(), "body");
    }
}

void check_proof(const Json& test) {
    const Json* json = test.find("proof");
    const Json* terms = test.find("policy");
    expect(json && terms, "the case has no proof or no policy");
    TonProof proof;
    proof.address = text_at(*json, "address");
    proof.network = static_cast<std::int32_t>(std::stol(text_at(*json, "network")));
    const Bytes key = bytes_of(text_at(*json, {"public_key", "publicKey"}));
    expect(key.size() == proof.public_key.size(), "a public key has not 32 bytes");
    std::copy(key.begin(), key.end(), proof.public_key.begin());
    proof.state_init = bytes_of(text_at(*json, {"state_init", "stateInit", "walletStateInit"}));
    const Json* domain = json->find("domain");
    expect(domain != nullptr, "the case has no domain");
    proof.domain = text_at(*domain, "value");
    proof.domain_bytes =
        static_cast<std::uint32_t>(number_at(*domain, {"length_bytes", "lengthBytes"}));
    proof.timestamp = number_at(*json, "timestamp");
    proof.payload = text_at(*json, "payload");
    const Bytes signature = bytes_of(text_at(*json, "signature"));
    std::copy_n(signature.begin(), std::min(signature.size(), proof.signature.size()),
                proof.signature.begin());
    const std::string own_domain = text_at(*terms, "domain"), issued = text_at(*terms, "payload");
    int taken = 0;
    TonProofPolicy policy;
    policy.domain = own_domain;
    policy.network = network_of(*terms);
    policy.now = Instant{static_cast<std::int64_t>(number_at(*terms, "now")) * 1'000'000};
    policy.take_payload = [&](std::string_view payload) {
        return payload == issued && ++taken == 1;
    };
    const auto proven = verify_ton_proof(proof, policy);
    if (settled(proven, test)) return;
    expect_equal(proven->raw(), lower_case(proof.address), "address");
    expect(!verify_ton_proof(proof, policy), "it is taken twice");
}

void check_fee(const Json& test) {
    const std::string kind = text_at(test, "kind");
    const CellRef parameter = cell_at(test, {"parameter"});
    const std::string wanted = text_at(test, "fee");
    if (kind == "gas") {
        expect_equal(take(GasPrices::parse(parameter), "prices")
                         .fee(number_at(test, {"gas", "gas_used"}))
                         .text(),
                     wanted, "fee");
        return;
    }
    const Usage usage{number_at(test, "cells"), number_at(test, "bits")};
    if (kind == "forward") {
        const auto prices = take(ForwardPrices::parse(parameter), "prices");
        expect_equal(prices.fee(usage).text(), wanted, "fee");
        if (has(test, "first_part"))
            expect_equal(prices.first_part(prices.fee(usage)).text(), text_at(test, "first_part"),
                         "first part");
    } else {
        expect(kind == "storage", "an unknown kind of fee");
        const auto fee = take(StoragePrices::parse(parameter), "prices")
                             .fee(usage, static_cast<std::uint32_t>(number_at(test, "last_paid")),
                                  static_cast<std::uint32_t>(number_at(test, "now")));
        expect_equal(fee.text(), wanted, "fee");
    }
}

void check_out_messages(const Transaction& transaction, const Json& wanted) {
    expect_equal(transaction.out_messages.size(), wanted.items().size(), "number of out-messages");
    for (std::size_t i = 0; i < wanted.items().size(); ++i) {
        const Message& message = transaction.out_messages[i];
        const Json& json = wanted.items()[i];
        expect(message.destination ==
                   take(parse_address(text_at(json, "destination")), "destination").address,
               "an out-message to another address");
        expect_equal(message.value.text(), text_at(json, "value"), "out-message's value");
        if (has(json, "forward_fee"))
            expect_equal(message.forward_fee.text(), text_at(json, "forward_fee"),
                         "out-message's forward fee");
        if (has(json, "body_hash"))
            expect_hash(message.body->hash(), text_at(json, "body_hash"), "out-message's body");
    }
}

void check_description(const Description& description, const Json& test) {
    const auto amount = [&](const char* name, Nano value) {
        if (has(test, name)) expect_equal(value.text(), text_at(test, name), name);
    };
    amount("storage_fees", description.storage_fees);
    amount("gas_fees", description.compute.gas_fees);
    if (has(test, "forward_fees")) {
        expect(description.action.has_value(), "no action phase");
        amount("forward_fees", description.action->forward_fees);
    }
    if (has(test, "gas_used"))
        expect_equal(description.compute.gas_used, number_at(test, "gas_used"), "gas_used");
    if (has(test, "exit_code"))
        expect_equal(std::to_string(description.compute.exit_code), text_at(test, "exit_code"),
                     "exit_code");
    if (const auto skipped = test.text_at("compute_skipped")) {
        static constexpr std::string_view names[] = {"no_state", "bad_state", "no_gas",
                                                     "suspended"};
        expect(description.compute.skipped &&
                   names[static_cast<std::size_t>(*description.compute.skipped)] == *skipped,
               "another skip reason");
    }
    if (const auto success = test.boolean_at("action_success"))
        expect(description.action && description.action->success == *success,
               "another success of the actions");
    if (has(test, "messages_created"))
        expect(description.action &&
                   description.action->messages_created == number_at(test, "messages_created"),
               "another number of messages created");
    if (const auto aborted = test.boolean_at("aborted"))
        expect_equal(description.aborted, *aborted, "aborted flag");
    if (const auto bounced = test.boolean_at("bounced"))
        expect_equal(description.bounced, *bounced, "bounce");
    if (const auto gone = test.boolean_at("destroyed"))
        expect_equal(description.destroyed, *gone, "destroyed flag");
}

void check_transaction(const Json& test) {
    const auto cell = parse_boc(boc_at(test), transaction_boc_limits);
    if (!cell) return expect(refused(test), "the bag is refused: " + cell.error().detail);
    const auto transaction = Transaction::parse(*cell);
    if (settled(transaction, test)) return;
    expect_hash(transaction->hash, text_at(test, {"hash", "tx_hash"}), "hash");
    if (has(test, "account")) {
        const std::string account = lower_case(text_at(test, "account"));
        expect_equal(to_hex(transaction->account), account.substr(account.find(':') + 1),
                     "account");
    }
    expect_equal(transaction->lt, number_at(test, "lt"), "lt");
    if (has(test, "previous_lt"))
        expect_equal(transaction->previous_lt, number_at(test, "previous_lt"), "previous lt");
    if (has(test, "previous_hash"))
        expect_hash(transaction->previous_hash, text_at(test, "previous_hash"), "previous hash");
    if (has(test, "now"))
        expect_equal<std::uint64_t>(transaction->now, number_at(test, "now"), "time");
    if (has(test, "total_fees"))
        expect_equal(transaction->total_fees.text(), text_at(test, "total_fees"), "total fees");
    if (has(test, "in_message_hash"))
        expect(transaction->in_message && to_hex(transaction->in_message->cell->hash()) ==
                                              to_hex(bytes_of(text_at(test, "in_message_hash"))),
               "another in-message");
    if (const Json* out = test.find("out_messages")) check_out_messages(*transaction, *out);
    expect(transaction->description.has_value(), "it is not an ordinary transaction");
    check_description(*transaction->description, test);
    if (const Json* wanted = test.find("received")) {
        const auto coins = received(*transaction);
        expect(coins ? coins->text() == wanted->text() : wanted->is_null(),
               "another deposit verdict");
    }
}

template <class Promise>
void check_promise(const Json& test) {
    const auto promise = Promise::parse(cell_at(test, boc_names));
    if (settled(promise, test)) return;
    expect_equal(promise->amount.text(), text_at(test, "amount"), "amount");
    expect_equal(std::to_string(static_cast<std::int32_t>(promise->network)),
                 text_at(test, {"network", "global_id"}), "network");
    expect_equal(promise->sequence, number_at(test, {"sequence", "seq"}), "sequence");
    expect_hash(promise->cell()->hash(), to_hex(cell_at(test, boc_names)->hash()), "cell");
    const Bytes key = bytes_of(text_at(test, "public_key"));
    const Bytes written = bytes_of(text_at(test, "signature"));
    PublicKey public_key{};
    Signature signature{};
    expect(key.size() == public_key.size() && written.size() == signature.size(), "odd sizes");
    std::copy(key.begin(), key.end(), public_key.begin());
    std::copy(written.begin(), written.end(), signature.begin());
    expect(verify(public_key, *promise, signature), "the signature does not verify");
    Promise raised = *promise;
    raised.sequence += 1;
    expect(!verify(public_key, raised, signature), "the signature covers too little");
}

void check_voucher(const Json& test) {
    const bool statement = has(test, "kind") && text_at(test, "kind") == "statement";
    statement ? check_promise<Statement>(test) : check_promise<Voucher>(test);
}

// ---- Counting -----------------------------------------------------------------------------------

using Check = void (*)(const Json&);

// The first row whose word is part of the name decides.
Check check_for(const std::string& name) {
    static constexpr std::pair<std::string_view, Check> rows[] = {
        {"voucher", check_voucher},
        {"statement", check_voucher},
        {"malformed", check_cell},
        {"invalid", check_cell},
        {"transaction", check_transaction},
        {"deposit", check_transaction},
        {"jetton", check_jetton},
        {"highload", check_highload},
        {"wallet", check_wallet},
        {"mnemonic", check_mnemonic},
        {"proof", check_proof},
        {"tonconnect", check_proof},
        {"fee", check_fee},
        {"address", check_address},
        {"comment", check_comment},
        {"snake", check_comment},
        {"dict", check_dictionary},
        {"hashmap", check_dictionary},
        {"message", check_message},
        {"normal", check_message},
        {"external", check_message},
        {"cell", check_cell},
        {"boc", check_cell},
        {"bag", check_cell},
    };
    for (const auto& [word, check] : rows)
        if (name.find(word) != name.npos) return check;
    return nullptr;
}

struct Tally {
    int passed = 0;
    int failed = 0;

    void fail(const std::string& id, const std::string& why) {
        ++failed;
        std::printf("FAILED %s: %s\n", id.c_str(), why.c_str());
    }
    void run(const std::string& id, const Json& test, Check check) {
        if (!check) return fail(id, "no check of ours is for files of this name");
        try {
            check(test);
            ++passed;
        } catch (const CaseFailed& failure) {
            fail(id, failure.why);
        } catch (const std::exception& failure) {
            fail(id, std::string{"exception: "} + failure.what());
        }
    }
    void run_all(const std::string& name, const Json& cases, Check check) {
        for (std::size_t i = 0; i < cases.items().size(); ++i) {
            const Json& test = cases.items()[i];
            const auto id = test.text_at("id");
            run(name + " " + (id ? std::string{*id} : "[" + std::to_string(i) + "]"), test, check);
        }
    }
};

// A file is an array of cases, or an object whose arrays are sections; "cases" is named by its
// file.
void run_file(const std::filesystem::path& path, Tally& tally) {
    const std::string name = lower_case(path.stem().string());
    std::ifstream file{path, std::ios::binary};
    const std::string text{std::istreambuf_iterator<char>{file}, {}};
    const Result<Json> document = Json::parse(text, {256u << 20, 64, 10'000'000});
    if (!document) return tally.fail(name, document.error().detail);
    if (document->is_array()) return tally.run_all(name, *document, check_for(name));
    for (const auto& [section, cases] : document->members()) {
        if (cases.is_object() && has(cases, "code_boc"))
            tally.run(name + " " + section, cases, check_highload);
        if (!cases.is_array()) continue;
        const Check by_section = section == "cases" ? nullptr : check_for(lower_case(section));
        tally.run_all(name + (section == "cases" ? "" : " " + section), cases,
                      by_section ? by_section : check_for(name));
    }
}

}  // namespace

int main(int count, char** arguments) {
    if (count != 2) {
        std::fprintf(stderr,
                     "usage: ton_vectors DIR\nDIR, or DIR/ton, holds JSON files of cases\n");
        return 1;
    }
    std::filesystem::path directory{arguments[1]};
    if (std::filesystem::is_directory(directory / "ton")) directory /= "ton";
    std::error_code failure;
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator{directory, failure})
        if (entry.path().extension() == ".json" &&
            !entry.path().stem().string().starts_with("package"))
            files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    Tally tally;
    for (const auto& file : files) run_file(file, tally);
    if (files.empty()) std::fprintf(stderr, "%s holds no JSON files\n", directory.c_str());
    std::printf("%d passed, %d failed\n", tally.passed, tally.failed);
    return tally.failed == 0 && tally.passed > 0 ? 0 : 1;
}
