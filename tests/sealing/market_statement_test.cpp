// The market's signed words about money: what is read is what was signed, and nothing else
// verifies.
#include "sealing/market_statement.hpp"

#include "tests/catch.hpp"

using namespace cocoon;
using namespace cocoon::sealing;

namespace {

SigningKey key_of(std::uint8_t byte) { return *SigningKey::from_seed(Bytes(seed_bytes, byte)); }
const SigningKey market = key_of(7);

SolvencyStatement solvency() {
    SolvencyStatement made;
    made.sequence = 1'042;
    made.at = *Instant::parse("2026-11-23T02:00:00Z");
    made.accounts = 3;
    made.root = sha256(as_bytes("root"));
    made.liabilities = Nano{12'500'000'000};
    made.wallet = SolvencyStatement::Wallet{"EQwallet", Nano{13'000'000'000}, Nano{5}, Nano{},
                                            *Instant::parse("2026-11-23T01:59:59Z")};
    return made;
}

EarningsStatement earnings() {
    return {"acc_7",     "UQ-address", 1'042,    *Instant::parse("2026-11-23T02:00:00Z"),
            Nano{1'000}, Nano{400},    Nano{250}};
}

Json parsed(const std::string& envelope) { return Json::parse(envelope).value(); }

Json resigned(Json statement) {
    std::string message{"cocoon-market/statement/v1"};
    message += '\0' + statement.canonical();
    const auto signature = market.sign(as_bytes(message));
    return Json::object({{"statement", std::move(statement)},
                         {"signature", Json::object({{"key_id", "k"},
                                                     {"public_key", to_hex(market.public_key())},
                                                     {"signature", to_hex(signature)}})}});
}

}  // namespace

TEST_CASE("a statement comes back as it was signed, and the same is signed the same") {
    const std::string envelope = sign_statement(solvency(), "market-1", market);
    CHECK(envelope == parsed(envelope).canonical());
    CHECK(envelope.size() < market_statement_bytes_max);
    CHECK(verify_solvency(parsed(envelope), market.public_key()).value() == solvency());
    CHECK(key_of_statement(parsed(envelope)) == market.public_key());
    CHECK(envelope == sign_statement(solvency(), "market-1", market));

    SolvencyStatement unseen = solvency();
    unseen.wallet.reset();
    CHECK(verify_solvency(parsed(sign_statement(unseen, "market-1", market)), market.public_key())
              .value() == unseen);

    const std::string earned = sign_statement(earnings(), "market-1", market);
    CHECK(verify_earnings(parsed(earned), market.public_key()).value() == earnings());
    CHECK(earnings().owed() == Nano{600});
}

TEST_CASE("no changed character of a statement verifies") {
    for (const std::string& envelope : {sign_statement(solvency(), "market-1", market),
                                        sign_statement(earnings(), "market-1", market)}) {
        const std::size_t from = envelope.find("\"statement\"");
        std::size_t refused = 0;
        for (std::size_t i = 0; i < envelope.size(); ++i) {
            std::string lie = envelope;
            lie[i] = lie[i] == '1' ? '2' : '1';
            const auto json = Json::parse(lie);
            if (!json) continue;
            const bool verifies = verify_solvency(*json, market.public_key()) ||
                                  verify_earnings(*json, market.public_key());
            // The key's name is told, not signed: it only says where to look for the key.
            if (i > from || lie.substr(0, from).find("\"market-1\"") != std::string::npos) {
                INFO(lie);
                CHECK_FALSE(verifies);
                ++refused;
            }
        }
        CHECK(refused > 100);
    }
}

TEST_CASE("another key, another type and more than is understood are refused") {
    const Json envelope = parsed(sign_statement(earnings(), "market-1", market));
    CHECK(verify_earnings(envelope, key_of(8).public_key()).error().code ==
          ErrorCode::receipt_invalid);
    CHECK(verify_solvency(envelope, market.public_key()).error().code ==
          ErrorCode::malformed_request);
    CHECK_FALSE(key_of_statement(Json::array()));

    // Properly signed, and still not what this program understands.
    const Json statement = *envelope.find("statement");
    CHECK(verify_earnings(resigned(statement), market.public_key()));
    struct Change {
        const char* name;
        Json value;
    };
    for (const Change& change :
         {Change{"earned_nano", "-1"}, Change{"earned_nano", "01"}, Change{"earned_nano", 1'000},
          Change{"paid_nano", "99999999999999999999"}, Change{"counter", "-2"},
          Change{"account", "job_7"}, Change{"at", "yesterday"}, Change{"payout_address", nullptr},
          Change{"bonus_nano", "5"}}) {
        Json other = statement;
        other.set(change.name, change.value);
        INFO(change.name);
        CHECK(verify_earnings(resigned(other), market.public_key()).error().code ==
              ErrorCode::malformed_request);
    }
    for (const Json::Member& member : statement.members()) {
        Json less = statement;
        less.erase(member.first);
        CHECK_FALSE(verify_earnings(resigned(less), market.public_key()));
    }
    Json wallet = *parsed(sign_statement(solvency(), "market-1", market)).find("statement");
    wallet.find("wallet")->set("address", 5);
    CHECK(verify_solvency(resigned(wallet), market.public_key()).error().code ==
          ErrorCode::malformed_request);
}
