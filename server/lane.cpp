#include "server/lane.hpp"

#include <algorithm>
#include <chrono>
#include <exception>
#include <unordered_set>

#include "core/log.hpp"

namespace cocoon::server {
namespace {

// While a batch commits, the next one is built in groups of this many: fewer wake-ups on few cores.
constexpr std::size_t group_commands = 32;
// So many wait for the end of the caller's turn at most, before the applier is woken all the same.
constexpr std::size_t turn_commands = 16;
constexpr Duration shutdown_patience = seconds(10);

template <class T>
void append(std::vector<T>& into, std::vector<T>&& from) {
    if (into.empty()) {
        into = std::move(from);
    } else {
        into.insert(into.end(), std::make_move_iterator(from.begin()),
                    std::make_move_iterator(from.end()));
    }
}

// Keeps the last value of each id: groups of one batch may have touched the same thing.
template <class T>
void keep_last(std::vector<T>& items) {
    if (items.size() < 2) return;
    std::unordered_set<std::uint64_t> seen;
    std::vector<T> kept;
    kept.reserve(items.size());
    for (auto item = items.rbegin(); item != items.rend(); ++item) {
        if (seen.insert(item->id.value).second) kept.push_back(std::move(*item));
    }
    std::reverse(kept.begin(), kept.end());
    items = std::move(kept);
}

// A denial may be lifted and an identity denied anew: only the newer of both is left.
void merge_denials(matching::Changes& into, const matching::Changes& from) {
    for (const matching::Denial& denial : from.denials)
        std::erase(into.denials_ended, denial.identity);
    for (const std::string& ended : from.denials_ended)
        std::erase_if(into.denials,
                      [&](const matching::Denial& denial) { return denial.identity == ended; });
}

// Every member is named here: one that is added to Changes does not compile until it is merged,
// too.
void merge(matching::Changes& into, matching::Changes&& from) {
    merge_denials(into, from);
    auto& [accounts, keys, enrolments, enrolments_ended, nodes, markets, offers, requests, jobs,
           payouts, webhooks, webhooks_removed, measurements, platforms, denials, denials_ended,
           trust_rule, fee_basis_points, payouts_paused, deposits, counters] = from;
    append(into.accounts, std::move(accounts));
    append(into.keys, std::move(keys));
    append(into.enrolments, std::move(enrolments));
    append(into.enrolments_ended, std::move(enrolments_ended));
    append(into.nodes, std::move(nodes));
    append(into.markets, std::move(markets));
    append(into.offers, std::move(offers));
    append(into.requests, std::move(requests));
    append(into.jobs, std::move(jobs));
    append(into.payouts, std::move(payouts));
    append(into.webhooks, std::move(webhooks));
    append(into.webhooks_removed, std::move(webhooks_removed));
    append(into.measurements, std::move(measurements));
    append(into.platforms, std::move(platforms));
    append(into.denials, std::move(denials));
    append(into.denials_ended, std::move(denials_ended));
    if (trust_rule) into.trust_rule = trust_rule;
    if (fee_basis_points >= 0) into.fee_basis_points = fee_basis_points;
    if (payouts_paused) into.payouts_paused = payouts_paused;
    append(into.deposits, std::move(deposits));
    into.counters = counters;
}

void keep_last(matching::Changes& changes) {
    keep_last(changes.accounts);
    keep_last(changes.keys);
    keep_last(changes.nodes);
    keep_last(changes.markets);
    keep_last(changes.offers);
    keep_last(changes.requests);
    keep_last(changes.jobs);
    keep_last(changes.payouts);
    keep_last(changes.webhooks);
    keep_last(changes.measurements);
}

}  // namespace

Lane::Lane(matching::Writer& writer, const Clock& clock, Metrics& metrics, LaneOptions options,
           Doors doors)
    : writer_{writer},
      clock_{clock},
      metrics_{metrics},
      options_{options},
      doors_{std::move(doors)} {
    publish(view_maker_.rebuild(writer_.state(), clock_.now()));
    views_stale_ = false;
}

Lane::~Lane() { stop(); }

void Lane::start() {
    commit_thread_ = std::thread{[this] { commit_loop(); }};
    apply_thread_ = std::thread{[this] { apply_loop(); }};
}

void Lane::stop() {
    {
        const std::lock_guard lock{mutex_};
        stopping_ = true;
    }
    applier_.notify_all();
    if (apply_thread_.joinable()) apply_thread_.join();
    {
        const std::lock_guard lock{mutex_};
        finished_ = true;
    }
    committer_.notify_all();
    if (commit_thread_.joinable()) commit_thread_.join();
}

Result<void> Lane::submit(matching::Envelope envelope, Done done) {
    {
        std::unique_lock lock{mutex_};
        if (stopping_ || broken_) return refuse(ErrorCode::draining);
        if (inbox_.size() >= options_.inbox_commands_max) {
            metrics_.lane_refused_overloaded.add();
            return refuse(ErrorCode::overloaded, "the market's inbox is full");
        }
        inbox_.push_back({std::move(envelope), std::move(done)});
        metrics_.lane_inbox_commands.set(static_cast<std::int64_t>(inbox_.size()));
        if (inbox_.size() < wake_at_) return {};
        const bool later = doors_.end_of_turn && inbox_.size() - wake_at_ < turn_commands;
        if (later && std::exchange(wake_posted_, true)) return {};
        if (later) {
            lock.unlock();
            doors_.end_of_turn([this] { wake_applier(); });
            return {};
        }
        wake_at_ = SIZE_MAX;
    }
    applier_.notify_one();
    return {};
}

void Lane::wake_applier() {
    {
        const std::lock_guard lock{mutex_};
        wake_posted_ = false;
        if (inbox_.size() < wake_at_) return;
        wake_at_ = SIZE_MAX;
    }
    applier_.notify_one();
}

std::size_t Lane::waiting() const {
    const std::lock_guard lock{mutex_};
    return inbox_.size();
}

// ---- The applier -------------------------------------------------------------------------------

// Waits for something to do. False: everything is done and the lane is to stop.
bool Lane::wait_for_work(std::vector<Item>& items, bool& tick, Verdict& verdict) {
    std::unique_lock lock{mutex_};
    while (true) {
        if (broken_) return false;
        const std::size_t built = next_ ? next_->dones.size() : 0;
        const std::size_t room =
            options_.batch_commands_max - std::min(built, options_.batch_commands_max);
        const std::size_t wanted =
            in_flight_ && !stopping_ ? std::min(group_commands, options_.batch_commands_max) : 1;
        const std::optional<Instant> due = writer_.loaded() ? writer_.next_due() : std::nullopt;
        const Instant now = clock_.now();
        // Alone it waits for the commit, with others it goes along. A dropped state is loaded again
        // by one, too: holds expire and views are made whether or not anybody calls.
        tick = (due && *due <= now) || (!writer_.loaded() && !in_flight_ && !stopping_);
        const bool view_due =
            !in_flight_ && views_stale_ && writer_.loaded() && now >= views_made_at_ + view_pause();
        if (verdict_ != Verdict::none || (tick && !in_flight_) || view_due ||
            (room > 0 && inbox_.size() >= wanted)) {
            verdict = std::exchange(verdict_, Verdict::none);
            // A finished commit also takes what has gathered since, whatever the group.
            for (std::size_t i = 0; i < room && !inbox_.empty(); ++i) {
                items.push_back(std::move(inbox_.front()));
                inbox_.pop_front();
            }
            metrics_.lane_inbox_commands.set(static_cast<std::int64_t>(inbox_.size()));
            return true;
        }
        if (stopping_ && inbox_.empty() && !in_flight_ && !next_) return false;
        wake_at_ = room > 0 ? wanted : SIZE_MAX;
        std::optional<Instant> until = in_flight_ ? std::nullopt : due;
        if (!in_flight_ && views_stale_ && writer_.loaded()) {
            const Instant view_at = views_made_at_ + view_pause();
            until = until ? std::min(*until, view_at) : view_at;
        }
        if (until) {
            applier_.wait_for(
                lock, std::chrono::microseconds{std::max<std::int64_t>(1, (*until - now).us)});
        } else {
            applier_.wait(lock);
        }
        wake_at_ = SIZE_MAX;
    }
}

void Lane::apply_loop() {
    while (true) {
        std::vector<Item> items;
        bool tick = false;
        Verdict verdict = Verdict::none;
        if (!wait_for_work(items, tick, verdict)) return;
        if (verdict == Verdict::fenced)
            return give_up("another process is the writer, or the database is gone at shutdown");
        if (verdict == Verdict::stored) settle(matching::Journal::Outcome::stored);
        if (verdict == Verdict::not_stored) settle(matching::Journal::Outcome::not_stored);
        if ((!items.empty() || tick) && !prepare(std::move(items), tick)) return;
        if (next_ && !in_flight_) hand_over();
        if (!in_flight_ && views_stale_ && writer_.loaded() &&
            clock_.now() >= views_made_at_ + view_pause()) {
            publish(make_views());
        }
    }
}

// Applies the items on top of everything before. False: the lane must stop.
bool Lane::prepare(std::vector<Item> items, bool tick) {
    std::vector<matching::Envelope> envelopes;
    std::vector<Done> dones;
    envelopes.reserve(items.size() + 1);
    dones.reserve(items.size() + 1);
    if (tick) {
        matching::Envelope envelope;
        envelope.command = matching::Tick{};
        envelopes.push_back(std::move(envelope));
        dones.emplace_back();
    }
    for (Item& item : items) {
        envelopes.push_back(std::move(item.envelope));
        dones.push_back(std::move(item.done));
    }
    metrics_.lane_commands.add(items.size());
    const bool was_loaded = writer_.loaded();
    while (true) {
        try {
            matching::Pending pending = writer_.prepare(envelopes, clock_.now());
            const matching::RememberedUse use = writer_.state().remembered_of_all();
            metrics_.remembered_answers.set(static_cast<std::int64_t>(use.answers));
            metrics_.remembered_bytes.set(static_cast<std::int64_t>(use.bytes));
            if (!was_loaded) views_lost_ = true;
            if (!next_) {
                next_ = Work{std::move(pending), std::move(dones)};
                return true;
            }
            append(next_->pending.batch.entries, std::move(pending.batch.entries));
            next_->pending.entries += pending.entries;
            merge(next_->pending.batch.changes, std::move(pending.batch.changes));
            append(next_->pending.answers, std::move(pending.answers));
            append(next_->dones, std::move(dones));
            next_->merged = true;
            return true;
        } catch (const std::exception& failure) {
            log::error("lane_load_failed", {{"why", failure.what()}});
            if (doors_.is_fenced && doors_.is_fenced(failure)) {
                give_up(failure.what());
                return false;
            }
            if (!wait_or_stop(options_.retry_interval)) {
                give_up("stopped while the database is gone");
                return false;
            }
        }
    }
}

// The state is now exactly what the batch leaves behind, so the snapshot taken here is of committed
// things once the batch is stored.
void Lane::hand_over() {
    in_flight_ = std::move(*next_);
    next_.reset();
    if (in_flight_->merged) keep_last(in_flight_->pending.batch.changes);
    const std::size_t entries = in_flight_->pending.entries;
    views_stale_ = views_stale_ || entries > 0;
    if (views_stale_ && clock_.now() >= views_made_at_ + view_pause())
        in_flight_->view = make_views();
    if (entries == 0) return settle(matching::Journal::Outcome::stored);
    in_flight_->batch.emplace(std::move(in_flight_->pending.batch));
    metrics_.lane_batch_commands.observe(static_cast<std::int64_t>(entries));
    {
        const std::lock_guard lock{mutex_};
        to_commit_ = &*in_flight_->batch;
    }
    committer_.notify_one();
}

// The one before goes when its last reader has gone, not under the lock.
void Lane::publish(std::shared_ptr<const matching::MarketsView> views) {
    const std::lock_guard lock{views_mutex_};
    views_.swap(views);
}

std::shared_ptr<const matching::MarketsView> Lane::make_views() {
    views_made_at_ = clock_.now();
    views_stale_ = false;
    const auto began = std::chrono::steady_clock::now();
    const bool all = std::exchange(views_lost_, false);
    auto views = all ? view_maker_.rebuild(writer_.state(), views_made_at_)
                     : view_maker_.refresh(writer_.state(), views_made_at_);
    views_took_ = Duration{std::chrono::duration_cast<std::chrono::microseconds>(
                               std::chrono::steady_clock::now() - began)
                               .count()};
    return views;
}

Duration Lane::view_pause() const {
    constexpr std::int64_t share = 20;
    return std::max(options_.view_interval, views_took_ * share);
}

void Lane::settle(matching::Journal::Outcome outcome) {
    Work work = std::move(*in_flight_);
    in_flight_.reset();
    const bool stored = outcome == matching::Journal::Outcome::stored;
    std::optional<matching::SharedBatch> batch;
    if (stored && work.batch) {
        metrics_.lane_batches.add();
        batch = work.batch;
    }
    if (stored && work.view) publish(std::move(work.view));
    deliver(std::move(work.dones), writer_.settle(std::move(work.pending), outcome),
            std::move(batch));
    if (stored) return;
    metrics_.lane_not_stored.add();
    log::warning("lane_batch_not_stored");
    views_stale_ = views_lost_ = true;
    if (!next_) return;
    Work above = std::move(*next_);
    next_.reset();
    deliver(std::move(above.dones), writer_.settle(std::move(above.pending), outcome), {});
}

void Lane::deliver(std::vector<Done> dones, std::vector<matching::Answered> answers,
                   std::optional<matching::SharedBatch> batch) {
    struct Mail {
        std::vector<Done> dones;
        std::vector<matching::Answered> answers;
        std::optional<matching::SharedBatch> batch;
    };
    ENSURE(dones.size() == answers.size());
    auto mail =
        std::make_shared<Mail>(Mail{std::move(dones), std::move(answers), std::move(batch)});
    doors_.post([this, mail] {
        if (mail->batch && doors_.stored) doors_.stored(*mail->batch);
        for (std::size_t i = 0; i < mail->dones.size(); ++i) {
            if (!mail->dones[i]) continue;
            try {
                mail->dones[i](std::move(mail->answers[i]));
                // one broken answer must not take the others with it
            } catch (const std::exception& failure) {
                log::error("answer_failed", {{"why", failure.what()}});
            }
        }
    });
}

void Lane::give_up(const std::string& why) {
    {
        const std::lock_guard lock{mutex_};
        broken_ = true;
        inbox_.clear();
    }
    committer_.notify_all();
    log::error("lane_stopped", {{"why", why}});
    if (doors_.fenced) doors_.fenced(why);
}

bool Lane::wait_or_stop(Duration time) {
    std::unique_lock lock{mutex_};
    applier_.wait_for(lock, std::chrono::microseconds{time.us},
                      [this] { return stopping_ || broken_; });
    return !stopping_ && !broken_;
}

// ---- The committer -----------------------------------------------------------------------------

void Lane::commit_loop() {
    while (true) {
        const matching::SharedBatch* batch = nullptr;
        {
            std::unique_lock lock{mutex_};
            committer_.wait(lock, [this] { return to_commit_ != nullptr || finished_ || broken_; });
            if (to_commit_ == nullptr) return;
            batch = std::exchange(to_commit_, nullptr);
        }
        const auto begun = std::chrono::steady_clock::now();
        committing_since_.store(clock_.now().us, std::memory_order_relaxed);
        const Verdict verdict = commit_until_certain(*batch);
        committing_since_.store(0, std::memory_order_relaxed);
        metrics_.lane_commit_seconds.observe(std::chrono::duration_cast<std::chrono::microseconds>(
                                                 std::chrono::steady_clock::now() - begun)
                                                 .count());
        {
            const std::lock_guard lock{mutex_};
            verdict_ = verdict;
        }
        applier_.notify_one();
        if (verdict == Verdict::fenced) return;
    }
}

Lane::Verdict Lane::commit_until_certain(const matching::SharedBatch& batch) {
    bool in_doubt = false;
    Duration waited_in_shutdown;
    while (true) {
        try {
            const auto outcome = in_doubt ? writer_.resolve(batch) : writer_.commit(batch);
            return outcome == matching::Journal::Outcome::stored ? Verdict::stored
                                                                 : Verdict::not_stored;
        } catch (const std::exception& failure) {
            log::error("commit_in_doubt", {{"sequence", batch->last()}, {"why", failure.what()}});
            if (doors_.is_fenced && doors_.is_fenced(failure)) return Verdict::fenced;
            if (!in_doubt) metrics_.lane_in_doubt.add();
            in_doubt = true;
        }
        std::unique_lock lock{mutex_};
        committer_.wait_for(lock, std::chrono::microseconds{options_.retry_interval.us},
                            [this] { return finished_ || broken_; });
        if (stopping_) waited_in_shutdown = waited_in_shutdown + options_.retry_interval;
        if (waited_in_shutdown > shutdown_patience) return Verdict::fenced;
    }
}

}  // namespace cocoon::server
