#include "node/agent.hpp"

#include <algorithm>

#include "core/log.hpp"
#include "node/files.hpp"
#include "sealing/canonical_json.hpp"
#include "sealing/statement.hpp"
#include "trust/aci_report.hpp"

namespace cocoon::node {
namespace {

constexpr int amend_attempts_max = 3;  // the version moves when somebody takes a slot meanwhile
constexpr Duration probe_patience = seconds(5);
constexpr Duration last_words_patience =
    seconds(5);  // partial receipts and acknowledgements at the end

std::string relay_url(const std::string& market_url) {
    return "ws" + market_url.substr(4) + "/v1/relay";  // http -> ws, https -> wss
}

// The marker of "we drained ourselves": survives a crash, so that the next start resumes, and keeps
// a drain that the provider ordered in the dashboard untouched.
std::string drained_marker(const Settings& settings) {
    return settings.state_directory + "/drained";
}
std::string published_file(const Settings& settings) {
    return settings.state_directory + "/offers.json";
}

// Ids of the offers this configuration has published: only those are cancelled when they leave it.
std::vector<std::string> load_published(const Settings& settings) {
    std::vector<std::string> ids;
    const auto text = read_file(published_file(settings), 64 << 10, false);
    const auto document = text ? sealing::Json::parse(*text) : Result<sealing::Json>{text.error()};
    if (!document) return ids;
    for (const sealing::Json& item : document->items())
        if (const auto id = item.text()) ids.emplace_back(*id);
    return ids;
}

void save_published(const Settings& settings, const std::vector<std::string>& ids) {
    sealing::Json list = sealing::Json::array();
    for (const std::string& id : ids) list.push(id);
    const auto saved = replace_file(published_file(settings), list.serialize(), true);
    if (!saved)
        log::error("the list of offers could not be stored", {{"cause", saved.error().detail}});
}

void log_refusal(std::string_view event, const Error& error) {
    log::warning(event, {{"code", describe(error.code).name}, {"detail", error.detail}});
    for (const FieldError& field : error.fields)
        log::warning(event, {{"check", field.path}, {"reason", field.message}});
}

// One wanted offer against what stands. Its id, or the refusal.
Result<std::string> settle_offer(MarketApi& market, const std::string& node,
                                 const OfferSettings& wanted, std::vector<StandingOffer> standing) {
    for (int attempt = 0;; ++attempt) {
        std::optional<StandingOffer> current;
        for (StandingOffer& offer : standing) {
            if (offer.node != node || offer.market != wanted.market || offer.build != wanted.build)
                continue;
            if (same_terms(offer.terms, wanted)) return offer.id;
            if (!current) current = std::move(offer);
        }
        if (!current) {
            auto placed = market.place_offer(node, wanted);
            if (placed) log::info("offer placed", {{"offer", *placed}, {"market", wanted.market}});
            return placed;
        }
        const bool amend = amendable(current->terms, wanted);
        const auto changed =
            amend ? market.amend_offer(*current, wanted) : market.cancel_offer(*current);
        if (changed)
            log::info(amend ? "offer amended" : "offer cancelled",
                      {{"offer", current->id}, {"market", wanted.market}});
        if (changed && amend) return current->id;
        if (!changed && (changed.error().code != ErrorCode::precondition_failed ||
                         attempt >= amend_attempts_max))
            return changed.error();
        auto again = market.offers();
        if (!again) return again.error();
        standing = std::move(*again);
    }
}

}  // namespace

Result<std::unique_ptr<Agent>> Agent::open(net::EventLoop& loop, const Settings& settings,
                                           std::unique_ptr<EvidenceProvider> evidence,
                                           AgentOptions options) {
    if (auto made = make_private_directory(settings.state_directory); !made) return made.error();
    auto identity = load_identity(settings);
    if (!identity) return identity.error();
    auto receipt_key = sealing::SigningKey::load_or_generate(settings.receipt_key_file());
    if (!receipt_key) return receipt_key.error();
    const auto slots = static_cast<std::size_t>(std::max<std::int64_t>(settings.slots(), 1));
    auto engine = Engine::open(settings.engine, slots + 1);
    if (!engine) return engine.error();
    std::unique_ptr<Agent> agent{new Agent{loop, settings, std::move(*identity),
                                           std::move(*receipt_key), std::move(*engine),
                                           std::move(evidence), options}};
    if (auto loaded = agent->receipts_.load(agent->clock_.now()); !loaded) return loaded.error();
    return agent;
}

Agent::Agent(net::EventLoop& loop, const Settings& settings, Identity identity,
             sealing::SigningKey receipt_key, std::unique_ptr<Engine> engine,
             std::unique_ptr<EvidenceProvider> evidence, AgentOptions options)
    : loop_{loop},
      settings_{settings},
      identity_{std::move(identity)},
      options_{options},
      keyring_{std::move(receipt_key), identity_.node},
      receipts_{settings.state_directory + "/receipts"},
      engine_{std::move(engine)},
      evidence_{std::move(evidence)},
      market_{settings_, identity_.credential},
      parts_{settings_, identity_.node, keyring_, replays_, receipts_, *engine_, clock_},
      retry_{options.retry_min},
      keeper_{std::make_unique<net::WorkerPool>("keeper", 1, 64)},
      control_{std::make_unique<net::WorkerPool>("control", 1, 64)} {
    marked_drained_ = read_file(drained_marker(settings_), 64, false).has_value();
    RelayOptions relay;
    relay.url = relay_url(settings_.market_url);
    relay.ca_file = settings_.market_ca_file;
    relay.credential = identity_.credential;
    relay.slots = static_cast<std::size_t>(std::max<std::int64_t>(settings_.slots(), 1));
    RelayEvents events;
    events.on_connected = [this] { reconcile_offers(); };
    events.on_attest = [this] { attest(false); };
    events.on_aci_attest = [this](const AciAttestFrame& asked) { report(asked); };
    // Whether the flush is queued or the queue is full of flushes: the next one does it all.
    events.on_receipt_signed = [this] {
        [[maybe_unused]] const bool queued = keeper_->submit([this] { receipts_.make_durable(); });
    };
    relay_ = std::make_unique<Relay>(loop_, std::move(relay), parts_, std::move(events));
}

Agent::~Agent() {
    alive_.reset();
    relay_.reset();
    market_.cancel();
    control_->stop();
    keeper_->stop();
    receipts_.make_durable();
}

template <class Work, class Then>
void Agent::in_background(Work work, Then then) {
    const bool queued = control_->submit([this, work, then, alive = std::weak_ptr{alive_}] {
        auto result = work();
        // std::function wants copies; the shared pointer carries what may only be moved.
        auto carried = std::make_shared<decltype(result)>(std::move(result));
        loop_.post([then, carried, alive] {
            if (!alive.expired()) then(std::move(*carried));
        });
    });
    if (!queued) log::error("the control thread's queue is full");
}

void Agent::start() {
    log::info("node starting", {{"node", identity_.node},
                                {"tier", evidence_->tier()},
                                {"offers", settings_.offers.size()},
                                {"slots", settings_.slots()},
                                {"receipts_pending", receipts_.pending_count()}});
    probe();
    attest(true);
    keep_house();
}

// ---- Evidence ----------------------------------------------------------------------------------

void Agent::attest(bool fresh_keys) {
    if (attesting_ || stopping_) return;
    attesting_ = true;
    auto keys = fresh_keys ? nullptr : keyring_.current();
    in_background([this, keys] { return attest_now(keys); },
                  [this](Result<Attested> attested) { on_attested(std::move(attested)); });
}

Result<Agent::Attested> Agent::attest_now(std::shared_ptr<const KeysetKeys> keys) {
    const Instant now = clock_.now();
    if (!keys) {
        auto made = keyring_.make(now, options_.keyset_life);
        if (!made) return made.error();
        keys = std::move(*made);
    }
    const auto nonce = market_.challenge(identity_.node);
    if (!nonce) return nonce.error();
    const auto report_data = sealing::report_data_for(keys->keyset.digest, *nonce);
    if (!report_data) return report_data.error();
    const auto evidence = evidence_->collect(*report_data, now);
    if (!evidence) return evidence.error();
    // The old keys keep opening from here on; the new ones must open before the market hands them
    // out.
    keyring_.adopt(keys);
    const auto valid_until =
        market_.submit_evidence(identity_.node, keys->keyset, *nonce, *evidence);
    if (!valid_until) return valid_until.error();
    return Attested{keys, *valid_until};
}

// What lives for less than `renew_before` is renewed when an eighth of its life has passed, not
// without end.
Duration Agent::renew_ahead(Duration life) const {
    return std::min(options_.renew_before, Duration{life.us / 8 * 7});
}

void Agent::on_attested(Result<Attested> attested) {
    attesting_ = false;
    const Instant now = clock_.now();
    if (!attested) {
        log_refusal("attestation failed", attested.error());
        retry_ = std::min(retry_ * 2, options_.retry_max);
        attest_timer_ = loop_.call_after(retry_, [this] { attest(keyring_.current() == nullptr); });
        return;
    }
    retry_ = options_.retry_min;
    attested_until_ = attested->valid_until;
    const Instant keys_end = attested->keys->keyset.not_after;
    const Instant renew_keys = keys_end - renew_ahead(keys_end - now);
    const Instant renew_evidence = attested_until_ - renew_ahead(attested_until_ - now);
    const bool keys_first = renew_keys <= renew_evidence;
    const Duration wait = std::max(std::min(renew_keys, renew_evidence) - now, options_.retry_min);
    log::info("attested", {{"keyset", attested->keys->keyset.digest},
                           {"valid_until", attested_until_.text()},
                           {"keys_until", keys_end.text()}});
    attest_timer_ = loop_.call_after(wait, [this, keys_first] { attest(keys_first); });
    relay_->connect();
}

void Agent::report(const AciAttestFrame& asked) {
    if (reporting_ || stopping_)
        return relay_->refuse_aci(asked.ticket, stopping_ ? "the node stops" : "one at a time");
    reporting_ = true;
    in_background([this, asked] { return report_now(asked); },
                  [this, asked](const Result<void>& reported) {
                      reporting_ = false;
                      if (reported) return;
                      log_refusal("report refused", reported.error());
                      relay_->refuse_aci(asked.ticket, reported.error().detail);
                  });
}

Result<void> Agent::report_now(const AciAttestFrame& asked) {
    const auto keys = keyring_.current();
    if (!keys) return refuse(ErrorCode::wrong_state, "the node has not attested yet");
    const std::optional<std::string_view> nonce =
        asked.nonce ? std::optional<std::string_view>{*asked.nonce} : std::nullopt;
    const auto report_data = sealing::report_data_for(keys->keyset.digest, nonce);
    if (!report_data) return report_data.error();
    const auto evidence = evidence_->collect(*report_data, clock_.now());
    if (!evidence) return evidence.error();
    const auto report = trust::make_aci_report(keys->keyset, nonce, *evidence, settings_.source);
    if (!report) return report.error();
    return market_.post_report(identity_.node, asked.ticket, *report);
}

// ---- Engine ------------------------------------------------------------------------------------

void Agent::probe() {
    if (probing_) return;
    probing_ = true;
    in_background([this] { return engine_->models(probe_patience); },
                  [this](const Result<std::vector<std::string>>& models) { on_probed(models); });
}

void Agent::on_probed(const Result<std::vector<std::string>>& models) {
    probing_ = false;
    const bool up = models.has_value();
    if (!engine_known_ || up != engine_up_) {
        if (up)
            log::info("engine is up", {{"models", models->size()}});
        else
            log::warning(
                "engine is down; offers are drained until it is back",
                {{"code", describe(models.error().code).name}, {"detail", models.error().detail}});
        if (up)
            for (const OfferSettings& offer : settings_.offers) {
                const std::string& name =
                    offer.engine_model.empty() ? offer.model() : offer.engine_model;
                if (std::find(models->begin(), models->end(), name) == models->end())
                    log::warning("the engine does not list an offered model",
                                 {{"model", name}, {"market", offer.market}});
            }
    }
    engine_up_ = up;
    engine_known_ = true;
    reconcile_drain();
    probe_timer_ = loop_.call_after(settings_.engine.probe_interval, [this] { probe(); });
}

// Makes the market know whether we take work: not while the engine is down or we are stopping.
void Agent::reconcile_drain() {
    if (drain_call_open_ || !engine_known_) return;
    const bool wanted = !engine_up_ || stopping_;
    if (wanted == marked_drained_) return;
    drain_call_open_ = true;
    in_background(
        [this, wanted]() -> Result<void> {
            // The marker is there whenever the market may think us drained.
            if (wanted)
                if (auto marked = replace_file(drained_marker(settings_),
                                               "drained by the node itself\n", true);
                    !marked)
                    return marked;
            auto told = market_.drain(identity_.node, wanted);
            if (told && !wanted) remove_file(drained_marker(settings_));
            return told;
        },
        [this, wanted](const Result<void>& told) {
            drain_call_open_ = false;
            if (!told)
                return log_refusal(wanted ? "could not drain" : "could not resume", told.error());
            marked_drained_ = wanted;
            log::info(wanted ? "drained at the market" : "resumed at the market");
            if (stopping_) reconcile_drain();
        });
}

// ---- Offers ------------------------------------------------------------------------------------

void Agent::reconcile_offers() {
    if (syncing_offers_ || stopping_) return;
    syncing_offers_ = true;
    in_background(
        [this] {
            sync_offers();
            return true;
        },
        [this](bool) {
            syncing_offers_ = false;
            offers_synced_at_ = clock_.now();
        });
}

void Agent::sync_offers() {
    auto standing = market_.offers();
    if (!standing) return log_refusal("offers could not be read", standing.error());
    const std::vector<std::string> before = load_published(settings_);
    std::vector<std::string> published;
    bool complete = true;
    for (const OfferSettings& wanted : settings_.offers) {
        const auto id = settle_offer(market_, identity_.node, wanted, *standing);
        if (id) {
            published.push_back(*id);
            continue;
        }
        complete = false;
        log_refusal("offer refused", id.error());
    }
    for (const StandingOffer& offer : *standing) {
        const bool ours = std::find(before.begin(), before.end(), offer.id) != before.end();
        const bool kept =
            std::find(published.begin(), published.end(), offer.id) != published.end();
        if (!ours || kept || settings_.find_offer(offer.market, offer.build) != nullptr) continue;
        const auto cancelled = market_.cancel_offer(offer);
        if (cancelled) {
            log::info("offer cancelled: no longer configured",
                      {{"offer", offer.id}, {"market", offer.market}});
            continue;
        }
        log_refusal("offer could not be cancelled", cancelled.error());
        published.push_back(offer.id);  // try again next time
    }
    if (!complete)
        for (const std::string& id : before)
            if (std::find(published.begin(), published.end(), id) == published.end())
                published.push_back(id);
    if (published != before) save_published(settings_, published);
}

// ---- Housekeeping and the end ------------------------------------------------------------------

void Agent::keep_house() {
    const Instant now = clock_.now();
    keyring_.forget_ended(now);
    std::vector<std::string> living;
    for (const auto& keys : keyring_.openers(now)) living.push_back(keys->keyset.digest);
    replays_.forget_keysets_except(living);
    replays_.forget_jobs(now - minutes(5));
    receipts_.forget_sessions(now - hours(1));
    relay_->resend_receipts(now - options_.housekeeping_interval);
    if (relay_->connected() && now - offers_synced_at_ >= options_.offers_interval)
        reconcile_offers();
    house_timer_ = loop_.call_after(options_.housekeeping_interval, [this] { keep_house(); });
}

void Agent::drain(std::function<void(bool)> done) {
    if (stopping_) return;
    stopping_ = true;
    drained_ = std::move(done);
    log::info("draining", {{"open_exchanges", relay_->open_exchanges()},
                           {"seconds_max", settings_.drain_deadline.seconds()}});
    relay_->start_draining();
    engine_known_ = true;
    reconcile_drain();
    drain_timer_ = loop_.call_after(settings_.drain_deadline, [this] {
        cut_ = relay_->open_exchanges() > 0;
        if (cut_)
            log::warning("drain deadline passed; open exchanges are cut",
                         {{"open_exchanges", relay_->open_exchanges()}});
        relay_->cancel_all();
        drain_timer_ = loop_.call_after(last_words_patience, [this] { finish_drain(); });
    });
    check_drained();
}

void Agent::check_drained() {
    const bool idle = relay_->open_exchanges() == 0 && !drain_call_open_;
    const bool acknowledged = receipts_.pending_count() == 0 || !relay_->connected();
    if (idle && acknowledged) return finish_drain();
    drain_check_ = loop_.call_after(milliseconds(50), [this] { check_drained(); });
}

void Agent::finish_drain() {
    if (!drained_) return;
    const auto done = std::move(drained_);
    drained_ = nullptr;
    drain_timer_.cancel();
    drain_check_.cancel();
    relay_->close();
    log::info("drained", {{"clean", !cut_}, {"receipts_pending", receipts_.pending_count()}});
    done(!cut_);
}

}  // namespace cocoon::node
