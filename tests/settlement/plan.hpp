// A plan of messages executed by the real virtual machine (settlement/devchain/execute.mjs, npm),
// and what it did, read back: for tests that make messages and check transactions themselves. One
// child process a plan; the test's own thread. It must not know any contract.
#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "settlement/boc.hpp"
#include "settlement/fees.hpp"
#include "settlement/transaction.hpp"
#include "tests/catch.hpp"

namespace cocoon::sandbox {

using namespace settlement::ton;

inline const std::string devchain = COCOON_SOURCE_DIR "/settlement/devchain";
constexpr std::uint32_t genesis = 1'795'000'000;

inline bool is_installed() {
    const bool installed = std::filesystem::exists(devchain + "/node_modules/@ton/sandbox");
    if (!installed)
        std::printf("SKIPPED: run npm ci in settlement/devchain for the virtual machine\n");
    return installed;
}

struct AccountLine {
    Nano balance;
    Usage used;
    std::uint32_t last_paid = 0;
    std::string status;
};

// What one step of the plan led to.
struct Outcome {
    bool accepted = false;
    int exit_code = 0;
    std::vector<Transaction> transactions;
    AccountLine account;
    CellRef cell;  // a parameter, or an account's data
};

// A plan is written whole, executed by one child, and its outcomes read in the same order.
class Plan {
public:
    void now(std::uint32_t seconds) { text_ += "now " + std::to_string(seconds) + "\n"; }
    void fund(const Address& to, std::int64_t amount) {
        text_ += "fund " + to.raw() + " " + std::to_string(amount) + "\n";
    }
    // Each returns the number of its outcome.
    std::size_t send(const CellRef& message) {
        return step("send " + to_base64(write_boc(message)));
    }
    std::size_t account(const Address& address) { return step("account " + address.raw()); }
    std::size_t parameter(int number) { return step("parameter " + std::to_string(number)); }
    std::size_t data(const Address& address) { return step("data " + address.raw()); }

    std::vector<Outcome> execute() const {
        const auto file =
            std::filesystem::temp_directory_path() / ("plan_" + std::to_string(::getpid()));
        std::ofstream{file} << text_;
        FILE* pipe =
            ::popen(("node '" + devchain + "/execute.mjs' < '" + file.string() + "'").c_str(), "r");
        REQUIRE(pipe != nullptr);
        std::string output;
        char buffer[1 << 16];
        while (const std::size_t count = std::fread(buffer, 1, sizeof buffer, pipe))
            output.append(buffer, count);
        const int status = ::pclose(pipe);
        std::filesystem::remove(file);
        REQUIRE(WEXITSTATUS(status) == 0);
        std::vector<Outcome> outcomes = read(output);
        REQUIRE(outcomes.size() == steps_);
        return outcomes;
    }

private:
    std::size_t step(const std::string& line) {
        text_ += line + "\n";
        return steps_++;
    }

    static CellRef cell_of(const std::string& base64, const BocLimits& limits = {}) {
        return parse_boc(from_base64(base64).value(), limits).value();
    }

    static std::vector<Outcome> read(const std::string& output) {
        std::vector<Outcome> outcomes;
        std::istringstream lines{output};
        for (std::string verb; lines >> verb;) {
            std::string word;
            if (verb == "transaction") {
                lines >> word;
                outcomes.back().transactions.push_back(
                    Transaction::parse(cell_of(word, transaction_boc_limits)).value());
                continue;
            }
            Outcome outcome;
            if (verb == "accepted")
                outcome.accepted = true;
            else if (verb == "refused")
                lines >> outcome.exit_code;
            else if (verb == "parameter" || verb == "data")
                lines >> word, outcome.cell = cell_of(word);
            else {
                AccountLine& account = outcome.account;
                lines >> account.balance.value >> account.used.cells >> account.used.bits >>
                    account.last_paid >> account.status;
            }
            outcomes.push_back(std::move(outcome));
        }
        return outcomes;
    }

    std::string text_;
    std::size_t steps_ = 0;
};

struct Prices {
    std::size_t storage, gas, forward;  // outcomes

    explicit Prices(Plan& plan)
        : storage{plan.parameter(18)}, gas{plan.parameter(21)}, forward{plan.parameter(25)} {}
};

struct Chain {
    const std::vector<Outcome> outcomes;
    const StoragePrices storage;
    const GasPrices gas;
    const ForwardPrices forward;

    Chain(const Plan& plan, const Prices& prices)
        : outcomes{plan.execute()},
          storage{StoragePrices::parse(outcomes[prices.storage].cell).value()},
          gas{GasPrices::parse(outcomes[prices.gas].cell).value()},
          forward{ForwardPrices::parse(outcomes[prices.forward].cell).value()} {}
};

inline SigningKey key_of(std::uint8_t number) {
    return SigningKey::from_seed(Bytes(32, number)).value();
}

// Every fee of one transaction, against the formulae. `before`: the account as it was.
inline void check_fees(const Chain& chain, const Transaction& transaction,
                       const AccountLine& before) {
    REQUIRE(transaction.description.has_value());
    const Description& description = *transaction.description;
    Nano total = chain.storage.fee(before.used, before.last_paid, transaction.now);
    CHECK(description.storage_fees == total);
    CHECK(description.compute.gas_fees == chain.gas.fee(description.compute.gas_used));
    total += description.compute.gas_fees;
    if (transaction.in_message->kind == Message::Kind::external_in)
        total += chain.forward.fee(message_usage(transaction.in_message->cell));
    Nano forward_fees, kept;
    for (const Message& message : transaction.out_messages) {
        const Nano fee = chain.forward.fee(message_usage(message.cell));
        CHECK(message.forward_fee == fee - chain.forward.first_part(fee));
        forward_fees += fee;
        kept += chain.forward.first_part(fee);
    }
    REQUIRE(description.action.has_value());
    CHECK(description.action->success);
    CHECK(description.action->forward_fees == forward_fees);
    CHECK(description.action->action_fees == kept);
    CHECK(transaction.total_fees == total + kept);
}

}  // namespace cocoon::sandbox
