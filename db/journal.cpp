#include "db/journal.hpp"

#include <random>

#include "core/log.hpp"
#include "db/connection.hpp"
#include "db/load.hpp"
#include "matching/codec.hpp"

namespace cocoon::db {
namespace {

constexpr std::size_t replay_entries_max = 1'000;

// The whole commit: moves the lane if nobody else did, and only then stores the row. One statement
// is one transaction, one round trip and one flush of the log.
const Statement commit_batch{
    "commit_batch",
    "with moved as (update lane set sequence = $1::bigint "
    "where lane = 0 and epoch = $2::bigint and sequence = $3::bigint returning 1), "
    "stored as (insert into journal (first, last, at, body) "
    "select $3::bigint + 1, $1::bigint, $4::bigint, $5::bytea from moved) "
    "select count(*) from moved"};

// 7290442114: "the writer of this market", among all advisory locks of the database.
const Statement try_lane_lock{"try_lane_lock", "select pg_try_advisory_lock(7290442114)"};
const Statement wait_lane_lock{"wait_lane_lock", "select pg_advisory_lock(7290442114)"};
const Statement open_epoch{"open_epoch",
                           "update lane set epoch = epoch + 1, writer = $1::bigint where lane = 0 "
                           "returning epoch, sequence"};
// Waits for a commit of ours that is still running, and shuts out one that has not begun.
const Statement renew_epoch{
    "renew_epoch",
    "update lane set epoch = epoch + 1 where lane = 0 and writer = $1::bigint "
    "returning epoch, sequence"};
const Statement read_lane{"read_lane", "select epoch, sequence from lane where lane = 0"};
const Statement note_self{
    "note_backend",
    "select pid::bigint, (extract(epoch from backend_start) * 1000000)::bigint "
    "from pg_stat_activity where pid = pg_backend_pid()"};
const Statement end_backend{
    "end_backend",
    "select pg_terminate_backend(pid) from pg_stat_activity where pid = $1::bigint "
    "and (extract(epoch from backend_start) * 1000000)::bigint = $2::bigint"};
const Statement put_state_hash{
    "put_state_hash",
    "insert into state_hash (sequence, hash) values ($1::bigint, $2::bytea) "
    "on conflict (only_row) do update set sequence = excluded.sequence, hash = excluded.hash"};

std::int64_t random_number() {
    std::random_device device;
    return static_cast<std::int64_t>((std::uint64_t{device()} << 31 ^ device()) & INT64_MAX);
}

}  // namespace

PgJournal::PgJournal(ConnectOptions options, Observer observer)
    : options_{std::move(options)}, observer_{std::move(observer)}, writer_{random_number()} {
    options_.application_name += " lane";
}

PgJournal::~PgJournal() = default;

void PgJournal::note_backend() {
    connection_->execute("SET plan_cache_mode = force_generic_plan");
    const Rows self = connection_->run(note_self);
    backend_pid_ = self.integer(0, 0);
    backend_started_ = self.integer(0, 1);
}

bool PgJournal::elect() {
    const std::lock_guard lock{mutex_};
    if (epoch_ != 0) return true;
    if (!connection_ || !connection_->usable()) {
        connection_ = std::make_unique<Connection>(options_);
        note_backend();
    }
    if (!connection_->run(try_lane_lock).boolean(0, 0)) return false;
    const Rows lane = connection_->run(open_epoch, Parameters{}.add(writer_));
    epoch_ = static_cast<std::uint64_t>(lane.integer(0, 0));
    sequence_ = static_cast<std::uint64_t>(lane.integer(0, 1));
    log::info("lane_elected", {{"epoch", epoch_}, {"sequence", sequence_}});
    return true;
}

// After a lost connection. The old backend may still be running our last commit: a new epoch either
// waits for it or makes it impossible, so that the sequence read with it is final.
void PgJournal::resume() {
    connection_.reset();
    if (epoch_ == 0) throw Fenced{};
    auto fresh = std::make_unique<Connection>(options_);
    const Rows lane = fresh->run(renew_epoch, Parameters{}.add(writer_));
    if (lane.empty()) throw Fenced{};
    epoch_ = static_cast<std::uint64_t>(lane.integer(0, 0));
    sequence_ = static_cast<std::uint64_t>(lane.integer(0, 1));
    // Take the lock over from our own old backend, which may not have noticed yet.
    if (!fresh->run(try_lane_lock).boolean(0, 0)) {
        fresh->run(end_backend, Parameters{}.add(backend_pid_).add(backend_started_));
        fresh->run(wait_lane_lock);
    }
    connection_ = std::move(fresh);
    note_backend();
    log::warning("lane_resumed", {{"epoch", epoch_}, {"sequence", sequence_}});
}

Connection& PgJournal::connection() {
    if (!connection_ || !connection_->usable()) resume();
    return *connection_;
}

matching::Journal::Outcome PgJournal::commit(const matching::SharedBatch& batch) {
    const std::lock_guard lock{mutex_};
    if (batch->entries.empty()) return Outcome::stored;
    Connection& live = connection();
    if (batch->previous != sequence_ || in_doubt_) return Outcome::not_stored;
    Parameters parameters;
    parameters.add(static_cast<std::int64_t>(batch->last()))
        .add(static_cast<std::int64_t>(epoch_))
        .add(static_cast<std::int64_t>(batch->previous))
        .add(batch->entries.front().at.us)
        .add_bytes(as_bytes(matching::encode_entries(batch->entries)));
    try {
        if (live.run(commit_batch, parameters).integer(0, 0) == 0) return Outcome::not_stored;
    } catch (...) {
        in_doubt_ = batch;
        throw;
    }
    sequence_ = batch->last();
    if (observer_) observer_(batch, false);
    return Outcome::stored;
}

// Once the lane's sequence is certain, the batch in doubt is either stored, and then the projector
// must see it, or gone for good.
void PgJournal::settle_doubt() {
    if (!in_doubt_) return;
    const matching::SharedBatch batch = std::move(*in_doubt_);
    in_doubt_.reset();
    if (sequence_ >= batch->last() && observer_) observer_(batch, false);
}

std::uint64_t PgJournal::last_sequence() {
    const std::lock_guard lock{mutex_};
    const Rows lane = connection().run(read_lane);
    if (lane.empty() || static_cast<std::uint64_t>(lane.integer(0, 0)) != epoch_) throw Fenced{};
    sequence_ = static_cast<std::uint64_t>(lane.integer(0, 1));
    settle_doubt();
    return sequence_;
}

std::unique_ptr<matching::State> PgJournal::load() {
    last_sequence();  // fences, settles doubts
    const std::lock_guard lock{mutex_};
    Connection& live = connection();
    Transaction snapshot{live, Transaction::Kind::read_only_snapshot};
    live.execute("SET LOCAL statement_timeout = 0");
    std::unique_ptr<matching::State> state = restore_state(live);
    const std::optional<StoredHash> stored = read_state_hash(live);
    const auto verify = [&] {
        if (stored && stored->sequence == state->counters.sequence &&
            !(stored->hash == state->hash()))
            throw Failure{"the state at sequence " + std::to_string(stored->sequence) +
                              " has another hash than the one stored",
                          "XX001"};
    };
    verify();
    const std::uint64_t restored = state->counters.sequence;
    while (true) {
        // The replay stops at the stored hash's sequence once, to compare.
        const bool before = stored && stored->sequence > state->counters.sequence;
        matching::Batch batch =
            replay_next(live, *state, replay_entries_max, before ? stored->sequence : UINT64_MAX);
        if (batch.entries.empty()) break;
        if (before) verify();
        if (observer_) observer_(std::move(batch), true);
    }
    if (state->counters.sequence != sequence_)
        throw Failure{"the journal ends at " + std::to_string(state->counters.sequence) +
                          ", the lane at " + std::to_string(sequence_),
                      "XX001"};
    log::info("state_loaded", {{"restored", restored}, {"sequence", sequence_}});
    return state;
}

void PgJournal::store_state_hash(std::uint64_t sequence, const matching::StateHash& hash) {
    const std::lock_guard lock{mutex_};
    std::string bytes;
    for (const std::uint64_t half : {hash.high, hash.low})
        for (int shift = 56; shift >= 0; shift -= 8)
            bytes.push_back(static_cast<char>(half >> shift));
    connection().run(
        put_state_hash,
        Parameters{}.add(static_cast<std::int64_t>(sequence)).add_bytes(as_bytes(bytes)));
}

}  // namespace cocoon::db
