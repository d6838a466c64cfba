#include "sealing/market_statement.hpp"

#include "core/ids.hpp"
#include "core/limits.hpp"
#include "sealing/decimal.hpp"

namespace cocoon::sealing {
namespace {

constexpr std::string_view signed_label{"cocoon-market/statement/v1", 27};  // with its byte 0
static_assert(signed_label.back() == '\0');
constexpr std::string_view solvency_type = "cocoon-market/solvency/v1";
constexpr std::string_view earnings_type = "cocoon-market/earnings/v1";
constexpr std::size_t address_bytes_max = 128;

Bytes signed_bytes(std::string_view canonical) {
    Bytes bytes{signed_label.begin(), signed_label.end()};
    bytes.insert(bytes.end(), canonical.begin(), canonical.end());
    return bytes;
}

std::string envelope_of(const Json& statement, std::string_view key_id, const SigningKey& key) {
    const std::string canonical = statement.canonical();
    const Json signature = Json::object({{"key_id", key_id},
                                         {"public_key", to_hex(key.public_key())},
                                         {"signature", to_hex(key.sign(signed_bytes(canonical)))}});
    // The two names are in canonical order already.
    return R"({"signature":)" + signature.canonical() + R"(,"statement":)" + canonical + "}";
}

// Reads the members of a statement one by one; what is missing or wrong is remembered, and a name
// that nobody asked for is wrong too: a signature over more than is understood says nothing.
class Members {
public:
    explicit Members(const Json& object) : object_{object} {}

    std::string text(const char* name, std::size_t bytes_max) {
        const auto found = next(name).text();
        if (!found || found->size() > bytes_max) wrong(name);
        return std::string{found.value_or("")};
    }
    Nano money(const char* name) {
        const auto found = decimal(next(name).text(), limits::amount_nano_max);
        if (!found) wrong(name);
        return Nano{found.value_or(0)};
    }
    std::uint64_t number(const char* name) {
        const auto found = decimal_64(next(name).text());
        if (!found) wrong(name);
        return found.value_or(0);
    }
    Instant instant(const char* name) {
        const auto found = Instant::parse(next(name).text().value_or(""));
        if (!found) wrong(name);
        return found.value_or(Instant{});
    }
    Digest digest(const char* name) {
        const auto found = parse_digest_text(next(name).text().value_or(""));
        if (!found) wrong(name);
        return found.value_or(Digest{});
    }
    // As it stands; null where it is missing.
    const Json& next(const char* name) {
        static const Json nothing;
        ++asked_;
        const Json* found = object_.find(name);
        if (!found) wrong(name);
        return found ? *found : nothing;
    }
    void wrong(const char* name) {
        if (wrong_.empty()) wrong_ = name;
    }
    // Empty: all is well. Otherwise the first member that is not.
    std::string_view finish() {
        if (asked_ != object_.members().size()) wrong("a member of another version");
        return wrong_;
    }

private:
    const Json& object_;
    std::size_t asked_ = 0;
    std::string wrong_;
};

Error malformed(std::string_view what) {
    return refuse(ErrorCode::malformed_request, "the statement is malformed: " + std::string{what});
}

// The signed part, once its signature is known to be `key`'s.
Result<const Json*> signed_part(const Json& envelope, const PublicKey& key, std::string_view type) {
    const Json* statement = envelope.find("statement");
    const Json* signature = envelope.find("signature");
    if (!statement || !signature || envelope.members().size() != 2)
        return malformed("it is not {signature, statement}");
    if (statement->text_at("type") != type)
        return malformed("its type is not " + std::string{type});
    if (!signature->text_at("key_id") || signature->members().size() != 3)
        return malformed("its signature is not {key_id, public_key, signature}");
    if (signature->text_at("public_key") != to_hex(key))
        return refuse(ErrorCode::receipt_invalid, "signed by another key than the market's");
    const auto bytes = from_hex(signature->text_at("signature").value_or(""));
    if (!bytes || !verify_signature(key, signed_bytes(statement->canonical()), *bytes))
        return refuse(ErrorCode::receipt_invalid, "the market's signature does not verify");
    return statement;
}

Json wallet_json(const std::optional<SolvencyStatement::Wallet>& wallet) {
    if (!wallet) return nullptr;
    return Json::object({{"address", wallet->address},
                         {"balance_nano", wallet->balance.text()},
                         {"moving_nano", wallet->moving.text()},
                         {"on_hold_nano", wallet->on_hold.text()},
                         {"at", wallet->at.text()}});
}

}  // namespace

std::string sign_statement(const SolvencyStatement& statement, std::string_view key_id,
                           const SigningKey& key) {
    return envelope_of(Json::object({{"type", solvency_type},
                                     {"sequence", std::to_string(statement.sequence)},
                                     {"at", statement.at.text()},
                                     {"accounts", std::to_string(statement.accounts)},
                                     {"root", digest_text(statement.root)},
                                     {"liabilities_nano", statement.liabilities.text()},
                                     {"wallet", wallet_json(statement.wallet)}}),
                       key_id, key);
}

std::string sign_statement(const EarningsStatement& statement, std::string_view key_id,
                           const SigningKey& key) {
    return envelope_of(Json::object({{"type", earnings_type},
                                     {"account", statement.account},
                                     {"payout_address", statement.payout_address},
                                     {"counter", std::to_string(statement.counter)},
                                     {"at", statement.at.text()},
                                     {"earned_nano", statement.earned.text()},
                                     {"paid_nano", statement.paid.text()},
                                     {"paying_nano", statement.paying.text()}}),
                       key_id, key);
}

std::optional<PublicKey> key_of_statement(const Json& envelope) {
    const Json* signature = envelope.find("signature");
    if (!signature) return std::nullopt;
    return parse_hex_32(signature->text_at("public_key").value_or(""));
}

Result<SolvencyStatement> verify_solvency(const Json& envelope, const PublicKey& key) {
    const auto found = signed_part(envelope, key, solvency_type);
    if (!found) return found.error();
    Members members{**found};
    SolvencyStatement statement;
    members.next("type");
    statement.sequence = members.number("sequence");
    statement.at = members.instant("at");
    statement.accounts = members.number("accounts");
    statement.root = members.digest("root");
    statement.liabilities = members.money("liabilities_nano");
    if (const Json& wallet = members.next("wallet"); !wallet.is_null()) {
        Members of_wallet{wallet};
        statement.wallet.emplace();
        statement.wallet->address = of_wallet.text("address", address_bytes_max);
        statement.wallet->balance = of_wallet.money("balance_nano");
        statement.wallet->moving = of_wallet.money("moving_nano");
        statement.wallet->on_hold = of_wallet.money("on_hold_nano");
        statement.wallet->at = of_wallet.instant("at");
        if (!of_wallet.finish().empty()) members.wrong("wallet");
    }
    if (const auto wrong = members.finish(); !wrong.empty()) return malformed(wrong);
    return statement;
}

Result<EarningsStatement> verify_earnings(const Json& envelope, const PublicKey& key) {
    const auto found = signed_part(envelope, key, earnings_type);
    if (!found) return found.error();
    Members members{**found};
    EarningsStatement statement;
    members.next("type");
    statement.account = members.text("account", address_bytes_max);
    if (!AccountId::parse(statement.account)) members.wrong("account");
    statement.payout_address = members.text("payout_address", address_bytes_max);
    statement.counter = members.number("counter");
    statement.at = members.instant("at");
    statement.earned = members.money("earned_nano");
    statement.paid = members.money("paid_nano");
    statement.paying = members.money("paying_nano");
    if (const auto wrong = members.finish(); !wrong.empty()) return malformed(wrong);
    return statement;
}

}  // namespace cocoon::sealing
