#include "server/app.hpp"

#include <csignal>

#include <atomic>
#include <future>
#include <thread>

#include "api/channels.hpp"
#include "api/challenges.hpp"
#include "api/login.hpp"
#include "api/login_guard.hpp"
#include "api/routes.hpp"
#include "api/session.hpp"
#include "api/used_once.hpp"
#include "core/log.hpp"
#include "core/sign_in_limits.hpp"
#include "db/collateral.hpp"
#include "db/collateral_pieces.hpp"
#include "db/journal.hpp"
#include "db/logins.hpp"
#include "db/migrate.hpp"
#include "db/outbox.hpp"
#include "db/projector.hpp"
#include "db/reader.hpp"
#include "db/replay.hpp"
#include "db/settlement.hpp"
#include "matching/writer.hpp"
#include "net/http_server.hpp"
#include "server/aci_desk.hpp"
#include "server/bootstrap.hpp"
#include "server/collateral.hpp"
#include "server/dispatch.hpp"
#include "server/evidence_policy.hpp"
#include "server/evidence_watch.hpp"
#include "server/feed.hpp"
#include "server/health.hpp"
#include "server/relay.hpp"
#include "server/settlement_worker.hpp"
#include "server/solvency.hpp"
#include "server/webhooks.hpp"
#include "server/ton_parts.hpp"
#include "settlement/dev_chain.hpp"

namespace cocoon::server {
namespace {

constexpr std::string_view market_key_id = "market-1";
constexpr std::string_view context_label = "cocoon-market/context-secret/v1";
constexpr Duration projector_pause = milliseconds(500);  // after a failure
constexpr Duration ask_patience = seconds(10);
constexpr Duration books_interval = minutes(5);
constexpr Duration projection_patience = seconds(10);
constexpr std::size_t waiting_workers_count = 4;
constexpr std::size_t waiting_calls_max = 256;    // then 503: nodes come back
constexpr std::size_t sign_in_workers_count = 2;  // each hash takes 32 MiB and a core

db::ConnectOptions connection_to(const Config& config, const char* name) {
    db::ConnectOptions options;
    options.url = config.database_url;
    options.application_name = name;
    return options;
}

// Becomes the one writer, waiting as a standby while another process is. A standby outlives what it
// waits for: a database that is gone for a while ends a writer, not those who may follow it.
// False: told to stop.
bool elect(db::PgJournal& journal, const std::atomic<bool>& stop) {
    bool told = false;
    while (!stop) {
        try {
            if (journal.elect()) return true;
            if (!told)
                log::info("standby", {{"why", "another process is the writer of this market"}});
            told = true;
        } catch (const db::Failure& failure) {
            if (!told) throw;  // it never worked
            log::warning("standby_cannot_ask", {{"why", failure.what()}});
        }
        std::this_thread::sleep_for(std::chrono::seconds{1});
    }
    return false;
}

// Writes the projections until stopped; a broken database only makes it wait.
void project(db::Projector& projector, const std::atomic<bool>& stop) {
    while (!stop) {
        try {
            projector.step();
        } catch (const std::exception& failure) {
            log::error("projector_failed", {{"why", failure.what()}});
            std::this_thread::sleep_for(std::chrono::microseconds{projector_pause.us});
        }
    }
}

std::vector<std::string> split_list(const std::string& text) {
    std::vector<std::string> parts;
    std::size_t from = 0;
    while (from < text.size()) {
        const std::size_t comma = std::min(text.find(',', from), text.size());
        if (comma > from) parts.push_back(text.substr(from, comma - from));
        from = comma + 1;
    }
    return parts;
}

// Scheme, host and port of our pages, as browsers write an origin.
std::string own_origin(const Config& config) {
    const std::string url = config.own_url();
    return url.substr(0, url.find('/', url.find("://") + 3));
}

// Whether people reach the pages over TLS: ours, or that of a proxy before us.
bool is_secure(const Config& config) { return config.own_url().starts_with("https://"); }

net::HttpServerOptions listening(const Config& config) {
    net::HttpServerOptions options;
    options.address = config.listen_address;
    options.port = config.listen_port;
    options.certificate_file = config.tls_certificate_file;
    options.private_key_file = config.tls_key_file;
    options.fields.add("X-Content-Type-Options", "nosniff");
    if (const std::string& origin = config.cors_origin; origin != "none") {
        options.fields.add("Access-Control-Allow-Origin", origin);
        options.fields.add("Access-Control-Expose-Headers",
                           "RateLimit, RateLimit-Policy, Retry-After, ETag, Location, Link, "
                           "X-Request-Id, Cocoon-Receipt, Idempotency-Replayed");
        if (origin != "*") options.fields.add("Vary", "Origin");
    }
    options.limits.connections_max = static_cast<int>(config.connections_max);
    options.limits.connections_per_address_max =
        static_cast<int>(config.connections_per_address_max);
    return options;
}

AdmissionOptions admission_of(const Config& config) {
    AdmissionOptions options;
    options.per_key.limit = config.rate_per_minute;
    options.per_address.limit = config.address_rate_per_minute;
    options.failed_credentials.limit = config.failed_credentials_per_minute;
    options.sign_ups.limit = config.sign_ups_per_hour;
    options.sign_ins.limit = config.sign_ins_per_hour;
    options.sign_ups_of_all.limit = config.sign_ups_of_all_per_hour;
    options.proxy_addresses = split_list(config.proxy_addresses);
    options.own_origin = own_origin(config);
    options.session_cookie = api::session_cookie_name(is_secure(config));
    return options;
}

matching::Rules rules_of(const Config& config) {
    constexpr std::size_t answer_bytes = 1 << 10;  // on average
    matching::Rules rules;
    rules.remembered_per_account_max = static_cast<std::size_t>(config.remembered_per_account_max);
    rules.remembered_bytes_per_account_max = rules.remembered_per_account_max * answer_bytes;
    rules.remembered_max = static_cast<std::size_t>(config.remembered_max);
    rules.remembered_bytes_max = rules.remembered_max * answer_bytes;
    rules.payout_min = Nano{config.payout_min_nano};
    rules.payout_approval_min = Nano{config.payout_approval_nano};
    rules.open_payouts_per_account_max =
        static_cast<std::size_t>(config.open_payouts_per_account_max);
    return rules;
}

AnswerPolicy answers_of(const Config& config) {
    return {config.cors_origin == "none" ? "" : config.cors_origin, config.access_log == "all",
            config.access_log != "none"};
}

CollateralOptions collateral_of(const Config& config, const EvidencePolicy& policy) {
    CollateralOptions options;
    options.ocsp_stale_max = policy.current().nvidia.revocation_stale_max;
    options.fresh_max = seconds(config.collateral_fresh_seconds);
    options.evaluation_number_min = [&policy] {
        return policy.current().tdx.evaluation_number_min;
    };
    options.urls = {config.collateral_tdx_url, config.collateral_tdx_root_list_url,
                    config.collateral_snp_url, config.collateral_rim_url,
                    config.collateral_ocsp_url};
    return options;
}

EvidenceWatchOptions watch_of(const Config& config) {
    EvidenceWatchOptions options;
    options.check_interval = seconds(config.evidence_check_seconds);
    options.round_interval = std::min(options.round_interval, options.check_interval);
    return options;
}

// A command from outside the I/O thread that waits for its answer.
std::optional<matching::Reply> ask_lane(Lane& lane, const std::atomic<bool>& stop,
                                        matching::Command command) {
    auto promise = std::make_shared<std::promise<matching::Reply>>();
    auto future = promise->get_future();
    matching::Envelope envelope;
    envelope.command = std::move(command);
    const auto submitted = lane.submit(std::move(envelope), [promise](matching::Answered answer) {
        promise->set_value(std::move(answer.reply));
    });
    if (!submitted) return matching::Reply{submitted.error()};
    for (Duration waited; waited < ask_patience && !stop; waited = waited + milliseconds(100)) {
        if (future.wait_for(std::chrono::milliseconds{100}) == std::future_status::ready)
            return future.get();
    }
    return std::nullopt;
}

// Whether the books balance, as the database sees them; now and then.
void check_books(const db::ConnectOptions& options, Metrics& metrics,
                 const std::atomic<bool>& stop) {
    Duration waited = books_interval;
    while (!stop) {
        if (waited >= books_interval) {
            waited = {};
            try {
                const auto problems = db::check_books(options);
                metrics.books_balanced.set(problems.empty() ? 1 : 0);
                for (const auto& problem : problems)
                    log::error("books_do_not_balance",
                               {{"check", problem.check}, {"subject", problem.subject}});
            } catch (const std::exception& failure) {
                log::warning("books_not_checked", {{"why", failure.what()}});
            }
        }
        std::this_thread::sleep_for(std::chrono::milliseconds{200});
        waited = waited + milliseconds(200);
    }
}

api::Context context_of(const Config& config, const sealing::SigningKey& key,
                        settlement::Chain* chain, settlement::DevChain* faucet, Lane& lane,
                        db::Outbox& outbox) {
    api::Context context;
    context.public_url = config.own_url();
    context.coin_name = config.coin_name;
    context.fee_basis_points = static_cast<int>(config.fee_basis_points);
    context.simulated_allowed = config.simulated_allowed();
    context.webhooks_plain_allowed = config.webhook_destinations == "loopback";
    context.market_key_id = market_key_id;
    context.market_public_key = to_hex(key.public_key());
    context.secret = derived_secret(key, context_label);
    context.sign_earnings = [key](const sealing::EarningsStatement& statement) {
        return sealing::sign_statement(statement, market_key_id, key);
    };
    context.login_keys = std::make_shared<const api::LoginKeys>(api::login_keys(context.secret));
    api::LoginLimits login_limits;
    login_limits.address_attempts_free = static_cast<int>(config.login_attempts_per_address);
    context.login_guard = std::make_shared<api::LoginGuard>(login_limits);
    context.used_wallet_challenges =
        std::make_shared<api::UsedOnce>(limits::wallet_challenges_used_max);
    context.secure_cookies = is_secure(config);
    context.wallet_domain = own_origin(config).substr(own_origin(config).find("://") + 3);
    if (config.chain == "ton") context.wallet_network = config.ton_network_number();
    std::array<std::uint8_t, 4> tag{};
    sealing::fill_random(tag);
    context.process_tag = as_text(tag);
    context.used_challenges = std::make_shared<api::UsedChallenges>();
    context.views = [&lane] { return lane.views(); };
    context.payout_address = [chain](const std::string& address) -> Result<std::string> {
        if (chain == nullptr)
            return refuse(ErrorCode::invalid_body, "payouts are not open on this market");
        return chain->normal_address(address);
    };
    context.redeliver = [&outbox](WebhookId webhook, std::uint64_t since) {
        return outbox.redeliver(webhook, {since, 0}, SystemClock{}.now());
    };
    if (chain == nullptr) return context;
    context.deposit_address = chain->deposit_address();
    context.deposit_link = [chain](const std::string& memo) { return chain->deposit_link(memo); };
    context.deposit_minimum = chain->deposit_minimum();
    context.payout_minimum = Nano{config.payout_min_nano};
    if (faucet == nullptr) return context;
    context.development_deposit = [faucet](const std::string& memo, Nano amount) {
        return faucet->faucet(memo, amount);
    };
    return context;
}

// What the journal says once the lane has stopped, so that the next start can prove it loaded the
// same.
void note_state(const matching::Writer& writer, db::PgJournal& journal) {
    if (!writer.loaded() || writer.state().counters.sequence == 0) return;
    try {
        journal.store_state_hash(writer.state().counters.sequence, writer.state().hash());
    } catch (const std::exception& failure) {
        log::warning("state_hash_not_stored", {{"why", failure.what()}});
    }
}

// Every part as a member: made in this order, taken down in the reverse one.
class Market {
public:
    explicit Market(const Config& settings);
    // Until told to stop. The exit status.
    int run();

private:
    void stored(const matching::Batch& batch);
    void native(api::Native what, std::shared_ptr<Incoming> in,
                const std::vector<std::string>& captures);
    void drain(int signal);
    void take_down();
    void open_chain();
    void remember_collateral();
    Lane::Doors lane_doors();
    DispatchDoors dispatch_doors();
    RelayDoors relay_doors();
    WebhookDoors webhook_doors();
    SettlementDoors settlement_doors();
    SolvencyDoors solvency_doors();
    std::shared_ptr<const api::ChannelMarket> channel_market();
    EvidenceWatchDoors evidence_watch_doors();
    Result<void> submit(matching::Command command, Lane::Done done);

    const Config& config;
    std::atomic<bool> stopping{false}, stop_projector{false}, failed{false};
    std::atomic<std::uint64_t> stored_sequence{0};  // of the newest batch whose answers are out

    // The I/O thread's loop; before it what a request still in its mailbox uses when everything
    // ends.
    const SystemClock clock;
    Metrics metrics;
    const AnswerPolicy answers{answers_of(config)};
    net::EventLoop loop;

    // The market's key, and the chain: opened by the elected writer only, who must know all that
    // the one before it did there.
    const sealing::SigningKey key{market_key(config.key_file)};
    std::unique_ptr<settlement::DevChain> dev_chain;
    std::unique_ptr<TonParts> ton;
    settlement::Chain* chain = nullptr;  // one of the two, or none

    // The journal is the truth; the projector copies it into tables; the writer holds the state.
    db::Pool pool{connection_to(config, "cocoon-market read"),
                  static_cast<std::size_t>(config.read_connections + 2)};
    db::Projector projector{connection_to(config, "cocoon-market projector")};
    db::PgJournal journal{connection_to(config, "cocoon-market"),
                          [this](const matching::SharedBatch& batch, bool replayed) {
                              projector.enqueue(batch, replayed);
                          }};
    std::unique_ptr<matching::Writer> writer;

    // What the I/O thread knows by heart.
    Directory directory;

    // Workers for what blocks; the lane for what changes; both answer on the loop.
    net::WorkerPool workers{"worker", static_cast<std::size_t>(config.workers)};
    net::WorkerPool waiting_workers{"waiting worker", waiting_workers_count, waiting_calls_max};
    net::WorkerPool sign_in_workers{"sign-in worker", sign_in_workers_count,
                                    limits::sign_ins_waiting_max};
    std::unique_ptr<Lane> lane;

    // Who may call, and the walk of a call through the house.
    const WebFiles pages{
        config.web_root.empty() ? WebFiles{} : WebFiles::load(config.web_root, own_origin(config))};
    db::Outbox outbox{pool};
    db::CollateralMemory collateral_memory{pool};
    db::CollateralPieces collateral_pieces{pool};
    db::Logins logins{pool};
    EvidencePolicy evidence_policy{config.attestation_policy_file};
    CollateralService collateral{collateral_of(config, evidence_policy), clock, metrics};
    api::Context context;
    Admission admission{directory, admission_of(config)};
    std::unique_ptr<Dispatch> dispatch;

    // Streams: sealed exchanges, and events.
    std::unique_ptr<Relay> relay;
    std::unique_ptr<AciDesk> aci_desk;
    std::unique_ptr<Feed> feed;

    // In the background: webhooks, coins, the audit of the books.
    std::unique_ptr<Webhooks> webhooks;
    db::Settlement settlement_store{pool};
    std::unique_ptr<Solvency> solvency;
    std::optional<db::Channels> channels;  // with MARKET_CHAIN=ton, where they are taken
    std::unique_ptr<SettlementWorker> settlement;
    std::unique_ptr<EvidenceWatch> evidence_watch;
    std::thread projecting, auditing;

    // What the process says about itself, and the door.
    std::unique_ptr<Health> health;
    std::unique_ptr<net::HttpServer> server;
};

Market::Market(const Config& settings) : config{settings} {
    elect(journal, stopping);
    open_chain();
    projector.catch_up();
    writer = std::make_unique<matching::Writer>(journal, rules_of(config));
    const api::LoginKeys login_keys = api::login_keys(derived_secret(key, context_label));
    const FirstDoors first{*writer, logins, login_keys};
    open_first_admin(first, config, clock.now());
    open_more_admins(first, config, clock.now());
    set_trust_rule(*writer, config, clock.now());
    directory.fill(writer->state());
    LaneOptions lane_options;
    lane_options.inbox_commands_max = static_cast<std::size_t>(config.inbox_commands_max);
    lane_options.batch_commands_max = static_cast<std::size_t>(config.batch_commands_max);
    lane = std::make_unique<Lane>(*writer, clock, metrics, lane_options, lane_doors());
    context = context_of(config, key, chain, dev_chain.get(), *lane, outbox);
    context.channels = channel_market();
    context.evidence_policy = [this] { return evidence_policy.current(); };
    context.judged = [this](const auto& verdict) { metrics.evidence.note(verdict); };
    evidence_policy.remember(collateral_memory.load(),
                             [this](const auto& seen) { collateral_memory.raise(seen); });
    context.collateral_seen = [this](const auto& seen) { evidence_policy.note(seen); };
    remember_collateral();
    context.complete_evidence = [this](NodeId node, Bytes evidence) {
        return collateral.complete(node, std::move(evidence));
    };
    context.held_transfer = [this](settlement::HoldId hold) { return settlement_store.held(hold); };
    context.logins = &logins;
    context.note_login = [this](const matching::NoteLogin& note) {
        if (const auto noted = submit(note, [](const matching::Answered&) {}); !noted)
            log::warning("login_not_noted", {{"account", note.account.text()},
                                             {"action", note.action},
                                             {"why", noted.error().detail}});
    };
    dispatch = std::make_unique<Dispatch>(dispatch_doors());
    relay = std::make_unique<Relay>(relay_doors());
    aci_desk = std::make_unique<AciDesk>(AciDeskDoors{
        loop, workers, directory, clock, metrics, [this](NodeId node, std::string message) {
            return relay->tell(node, std::move(message));
        }});
    feed = std::make_unique<Feed>(FeedDoors{loop, workers, pool, projector, directory,
                                            [this] { return lane->views(); }, clock, metrics});
    WebhookOptions webhook_options;
    webhook_options.loopback_allowed = config.webhook_destinations == "loopback";
    webhook_options.retention = days(config.webhook_retention_days);
    webhooks = std::make_unique<Webhooks>(webhook_doors(), webhook_options);
    solvency = std::make_unique<Solvency>(
        solvency_doors(), SolvencyOptions{milliseconds(config.solvency_interval_ms),
                                          chain ? chain->deposit_address() : std::string{}});
    context.solvency = [this] { return solvency->newest(); };
    if (chain) {
        SettlementOptions options;
        options.interval = milliseconds(config.settlement_interval_ms);
        options.reconcile_interval = milliseconds(config.reconcile_interval_ms);
        options.claim_interval = seconds(config.channel_claim_seconds);
        settlement = std::make_unique<SettlementWorker>(settlement_doors(), options);
        settlement->fill(writer->state());
    }
    evidence_watch = std::make_unique<EvidenceWatch>(evidence_watch_doors(), watch_of(config));
    health = std::make_unique<Health>(
        HealthDoors{pool, projector, *lane, directory, *relay, workers, loop, clock, metrics});
    server = std::make_unique<net::HttpServer>(loop, listening(config), dispatch->handler());
    loop.on_signals({SIGTERM, SIGINT}, [this](int signal) { drain(signal); });
}

int Market::run() {
    projecting = std::thread{[this] { project(projector, stop_projector); }};
    auditing = std::thread{
        [this] { check_books(connection_to(config, "cocoon-market audit"), metrics, stopping); }};
    lane->start();
    relay->start();
    webhooks->start();
    solvency->start();
    if (settlement) settlement->start();
    evidence_watch->start();
    log::info("serving", {{"url", config.own_url()},
                          {"port", server->port()},
                          {"sequence", lane->views()->sequence},
                          {"chain", config.chain}});
    loop.run();
    take_down();
    return failed ? 1 : 0;
}

// Each stored batch, before its answers: memory first, then those who act on it.
void Market::stored(const matching::Batch& batch) {
    stored_sequence = batch.last();
    directory.apply(batch, clock.now());
    for (const matching::Entry& entry : batch.entries) {
        for (const matching::Event& event : entry.events) metrics.count(event);
    }
    relay->stored(batch);
    dispatch->stored(batch);
    feed->stored(batch);
    if (settlement) settlement->stored(batch);
    webhooks->wake();
}

// Routes that are streams or speak about the process.
void Market::native(api::Native what, std::shared_ptr<Incoming> in,
                    const std::vector<std::string>& captures) {
    switch (what) {
        case api::Native::relay: return relay->accept_node(std::move(in));
        case api::Native::exchange: {
            const auto job = JobId::parse(captures.empty() ? "" : captures.front());
            if (!job) return in->refuse(refuse(ErrorCode::not_found));
            return relay->begin(std::move(in), *job);
        }
        case api::Native::aci_attestation: return aci_desk->ask(std::move(in), captures.front());
        case api::Native::aci_report:
            return aci_desk->answer(std::move(in), captures.front(), captures.back());
        case api::Native::account_events: return feed->account_events(std::move(in));
        case api::Native::market_events: return feed->market_events(std::move(in));
        case api::Native::livez: return health->live(*in);
        case api::Native::readyz: return health->ready(std::move(in));
        case api::Native::metrics: return health->metrics(*in);
    }
}

// Nothing new comes in; what is open may end until the deadline.
void Market::drain(int signal) {
    if (stopping.exchange(true)) return loop.stop();  // asked twice: now
    log::info("draining", {{"signal", signal}, {"seconds", config.drain_seconds}});
    health->drain();
    relay->drain();
    feed->close_all();
    server->drain(seconds(config.drain_seconds), [this] {
        relay->close_all();
        loop.post([this] { loop.stop(); });
    });
}

void Market::take_down() {
    stopping = true;
    log::info("stopping");
    if (ton) ton->stop();
    if (settlement) settlement->stop();
    solvency->stop();
    webhooks->stop();
    auditing.join();
    collateral.stop();
    evidence_watch->stop();
    waiting_workers.stop();
    sign_in_workers.stop();
    workers.stop();
    lane->stop();
    if (!failed) note_state(*writer, journal);
    if (!failed && writer->loaded()) {
        projector.wait_for(writer->state().counters.sequence, projection_patience);
    }
    stop_projector = true;
    projector.stop();
    projecting.join();
    log::info("stopped");
}

// ---- What each part is given --------------------------------------------------------------------

void Market::open_chain() {
    if (config.chain == "ton") {
        ton = std::make_unique<TonParts>(config, clock, metrics);
        chain = &ton->chain();
        if (config.channel_claim_seconds > 0)
            channels.emplace(pool, ton->chain().channel_payee(),
                             static_cast<settlement::ton::Network>(config.ton_network_number()));
    }
    if (config.chain != "dev") return;
    make_folder_of(config.chain_file);
    settlement::DevChainOptions options;
    options.file = config.chain_file;
    dev_chain = std::make_unique<settlement::DevChain>(options, clock);
    chain = dev_chain.get();
}

void Market::remember_collateral() {
    const Duration stale_max = evidence_policy.current().nvidia.revocation_stale_max;
    collateral.remember(
        collateral_pieces.load(clock.now() - stale_max, collateral.pieces_max()),
        {[this](const db::KeptCollateral& kept) { collateral_pieces.keep(kept); },
         [this](const std::vector<std::string>& names) { collateral_pieces.forget(names); }});
}

Lane::Doors Market::lane_doors() {
    return {[this](std::function<void()> call) { loop.post(std::move(call)); },
            [this](const matching::Batch& batch) { stored(batch); },
            [this](const std::string&) {
                failed = true;
                loop.post([this] { loop.stop(); });
            },
            [](const std::exception& failure) {
                return dynamic_cast<const db::Fenced*>(&failure) != nullptr;
            },
            [this](std::function<void()> call) {
                loop.in_loop_thread() ? loop.post(std::move(call)) : call();
            }};
}

DispatchDoors Market::dispatch_doors() {
    return {loop,
            workers,
            waiting_workers,
            sign_in_workers,
            *lane,
            pool,
            projector,
            admission,
            directory,
            context,
            clock,
            metrics,
            answers,
            pages,
            [this](api::Native what, std::shared_ptr<Incoming> in,
                   const std::vector<std::string>& captures) {
                native(what, std::move(in), captures);
            }};
}

RelayDoors Market::relay_doors() {
    return {loop,
            workers,
            directory,
            clock,
            metrics,
            {std::string{market_key_id}, key},
            context.market_public_key,
            [this](matching::Command command, Lane::Done done) {
                return submit(std::move(command), std::move(done));
            },
            [this](const matching::RequestAnswer& answer, std::string_view id) {
                return api::rematched_problem(answer, id, context);
            },
            [this](AccountId account, std::uint64_t sequence) {
                dispatch->answered(account, sequence);
            },
            [this](NodeId node, std::uint64_t ticket, const std::string& why) {
                aci_desk->failed(node, ticket, why);
            }};
}

WebhookDoors Market::webhook_doors() {
    return {pool, outbox, projector, [this] { return lane->views(); }, clock, metrics};
}

SettlementDoors Market::settlement_doors() {
    return {
        *chain, settlement_store, metrics, clock,
        [this](matching::Command command) { return ask_lane(*lane, stopping, std::move(command)); },
        // Not the views' sequence alone: they are made anew now and then, and may lack what was
        // just answered.
        [this] {
            return projector.wait_for(std::max(stored_sequence.load(), lane->views()->sequence),
                                      projection_patience);
        },
        [this](const db::Reconciliation& found) { solvency->reconciled(found); },
        channels ? &*channels : nullptr};
}

SolvencyDoors Market::solvency_doors() {
    return {[this] { return settlement_store.liabilities(); },
            {std::string{market_key_id}, key},
            derived_secret(key, "cocoon-market/solvency-secret/v1"),
            clock,
            metrics};
}

std::shared_ptr<const api::ChannelMarket> Market::channel_market() {
    if (!channels) return nullptr;
    return std::make_shared<const api::ChannelMarket>(
        api::ChannelMarket{*channels, ton->chain().channel_payee(),
                           static_cast<settlement::ton::Network>(config.ton_network_number())});
}

EvidenceWatchDoors Market::evidence_watch_doors() {
    return {
        pool,
        [this](NodeId node, Bytes evidence) {
            auto completed = collateral.refresh(node, std::move(evidence));
            collateral.measure();
            return completed;
        },
        context.evidence_policy,
        context.collateral_seen,
        [this](matching::Command command) { return ask_lane(*lane, stopping, std::move(command)); },
        clock,
        metrics};
}

Result<void> Market::submit(matching::Command command, Lane::Done done) {
    matching::Envelope envelope;
    envelope.command = std::move(command);
    return lane->submit(std::move(envelope), std::move(done));
}

}  // namespace

int serve(const Config& config) {
    // The schema must be this program's; only `migrate` changes it.
    if (const auto schema = db::check_schema(connection_to(config, "cocoon-market")); !schema) {
        log::error("schema",
                   {{"why", schema.error().detail}, {"what_to_do", "cocoon-market migrate"}});
        return 1;
    }
    Market market{config};
    return market.run();
}

}  // namespace cocoon::server
