#include "server/solvency.hpp"

#include <chrono>

#include "core/log.hpp"

namespace cocoon::server {
namespace {

constexpr std::chrono::milliseconds look_interval{200};
// How long past its time a proof waits for the settlement worker's word of the chain.
constexpr Duration chain_grace = seconds(15);

// Another one for each account and each sequence, so that no two proofs can be laid side by side.
class Salts {
public:
    Salts(std::string_view secret, std::uint64_t sequence) : text_{"cocoon-market/salt/v1"} {
        text_ += '\0';
        text_ += secret;
        put(sequence);
        fixed_ = text_.size();
    }
    settlement::SumHash of(std::uint64_t account) {
        text_.resize(fixed_);
        put(account);
        return sealing::sha256(as_bytes(text_));
    }

private:
    void put(std::uint64_t number) {
        for (int shift = 56; shift >= 0; shift -= 8)
            text_ += static_cast<char>(static_cast<std::uint8_t>(number >> shift));
    }
    std::string text_;
    std::size_t fixed_ = 0;
};

settlement::MerkleSum tree_of(const db::Liabilities& owed, std::string_view secret) {
    Salts salts{secret, owed.sequence};
    std::vector<settlement::Liability> leaves;
    leaves.reserve(owed.accounts.size());
    for (const auto& [account, amount] : owed.accounts)
        leaves.push_back({account, salts.of(account), amount});
    auto tree = settlement::MerkleSum::build(std::move(leaves));
    ENSURE(tree);  // the schema keeps balances from being negative, the supply their sum in range
    return std::move(*tree);
}

}  // namespace

Solvency::Solvency(SolvencyDoors doors, SolvencyOptions options)
    : doors_{std::move(doors)}, options_{std::move(options)} {}

Solvency::~Solvency() { stop(); }

void Solvency::start() {
    {
        const std::lock_guard making{making_};
        make(std::nullopt);
    }
    thread_ = std::thread{[this] {
        std::unique_lock lock{mutex_};
        while (!wake_.wait_for(lock, look_interval, [this] { return stopping_; })) {
            lock.unlock();
            try {
                const std::lock_guard making{making_};
                if (due(options_.wallet.empty() ? Duration{} : chain_grace)) make(std::nullopt);
            } catch (const std::exception& failure) {
                log::warning("solvency_not_proven", {{"why", failure.what()}});
            }
            lock.lock();
        }
    }};
}

void Solvency::stop() {
    {
        const std::lock_guard lock{mutex_};
        stopping_ = true;
    }
    wake_.notify_all();
    if (thread_.joinable()) thread_.join();
}

std::shared_ptr<const api::SolvencyProof> Solvency::newest() const {
    const std::lock_guard lock{mutex_};
    return newest_;
}

bool Solvency::due(Duration grace) const {
    return doors_.clock.now() - made_at_ >= options_.interval + grace;
}

void Solvency::reconciled(const db::Reconciliation& found) {
    const std::lock_guard making{making_};
    // A proof that says nothing of the chain is replaced at once.
    if (chain_seen_ && !due({})) return;
    // What is on hold is read with the books: an operator may credit it at any moment.
    make(Wallet{options_.wallet, found.balance, found.moving, {}, found.at});
}

void Solvency::make(const std::optional<Wallet>& wallet) {
    const Instant now = doors_.clock.now();
    const db::Liabilities owed = doors_.read();
    const auto before = newest();
    // The same books have the same tree.
    settlement::MerkleSum tree =
        before && owed.sequence == sequence_ ? before->tree : tree_of(owed, doors_.secret);
    sealing::SolvencyStatement statement;
    statement.sequence = owed.sequence;
    statement.at = now;
    statement.accounts = tree.leaves();
    statement.root = tree.root().hash;
    statement.liabilities = tree.root().sum;
    statement.wallet = wallet;
    if (statement.wallet) statement.wallet->on_hold = owed.on_hold;
    auto proof = std::make_shared<const api::SolvencyProof>(api::SolvencyProof{
        sealing::sign_statement(statement, doors_.signer.key_id, doors_.signer.key),
        std::move(tree)});
    sequence_ = owed.sequence;
    made_at_ = now;
    chain_seen_ = wallet.has_value();
    doors_.metrics.solvency_accounts.set(static_cast<std::int64_t>(statement.accounts));
    doors_.metrics.solvency_liabilities_nano.set(statement.liabilities.value);
    doors_.metrics.solvency_proven_at_seconds.set(now.unix_seconds());
    doors_.metrics.solvency_build_seconds.observe((doors_.clock.now() - now).us);
    const std::lock_guard lock{mutex_};
    newest_ = std::move(proof);
}

}  // namespace cocoon::server
