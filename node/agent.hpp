// The running node: wires keys, evidence, engine, relay and offers together and keeps them so.
// Built by main's `run` and by tests; everything here runs on the loop's thread, blocking calls to
// market and engine on one control thread. Decides when to attest, reconnect, drain and stop; the
// parts know how.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "net/event_loop.hpp"
#include "net/worker_pool.hpp"
#include "node/engine.hpp"
#include "node/evidence.hpp"
#include "node/exchange.hpp"
#include "node/keyring.hpp"
#include "node/market_api.hpp"
#include "node/receipt_book.hpp"
#include "node/relay.hpp"
#include "node/replay_memory.hpp"
#include "node/settings.hpp"

namespace cocoon::node {

struct AgentOptions {
    Duration keyset_life = hours(limits::keyset_hours);
    // New keys or evidence so long before the old ones end: well before the market warns of that.
    Duration renew_before = minutes(120);
    Duration retry_min = seconds(1);  // attestation that failed for lack of a market
    Duration retry_max = seconds(60);
    Duration housekeeping_interval = seconds(15);
    Duration offers_interval = seconds(300);  // reconciled also when nothing happens
};

class Agent {
public:
    // Reads keys and stored receipts. Refuses when the state directory, a key, the credential or
    // the engine's key file cannot be used.
    static Result<std::unique_ptr<Agent>> open(net::EventLoop& loop, const Settings& settings,
                                               std::unique_ptr<EvidenceProvider> evidence,
                                               AgentOptions options);
    // REQUIRES: the loop's thread, or the loop is not running.
    ~Agent();
    Agent(const Agent&) = delete;
    Agent& operator=(const Agent&) = delete;

    void start();
    // Tells the market, lets open exchanges finish within the settings' deadline, then calls
    // `done(clean)`: whether nothing was cut. A second call is ignored.
    void drain(std::function<void(bool clean)> done);

    bool connected() const { return relay_ && relay_->connected(); }
    bool engine_up() const { return engine_up_; }

private:
    Agent(net::EventLoop& loop, const Settings& settings, Identity identity,
          sealing::SigningKey receipt_key, std::unique_ptr<Engine> engine,
          std::unique_ptr<EvidenceProvider> evidence, AgentOptions options);

    struct Attested {
        std::shared_ptr<const KeysetKeys> keys;
        Instant valid_until;
    };
    void attest(bool fresh_keys);
    Result<Attested> attest_now(std::shared_ptr<const KeysetKeys> keys);  // control thread
    Duration renew_ahead(Duration life) const;
    void on_attested(Result<Attested> attested);
    // Our ACI report over somebody's nonce, posted to the market. One at a time: evidence is work.
    void report(const AciAttestFrame& asked);
    Result<void> report_now(const AciAttestFrame& asked);  // control thread
    void probe();
    void on_probed(const Result<std::vector<std::string>>& models);
    void reconcile_drain();
    void reconcile_offers();
    void sync_offers();  // control thread
    void keep_house();
    void check_drained();
    void finish_drain();
    // Runs `work` on the control thread, then `then(result)` on the loop's thread.
    template <class Work, class Then>
    void in_background(Work work, Then then);

    net::EventLoop& loop_;
    const Settings settings_;
    const Identity identity_;
    const AgentOptions options_;
    SystemClock clock_;
    Keyring keyring_;
    ReplayMemory replays_;
    ReceiptBook receipts_;
    std::unique_ptr<Engine> engine_;
    std::unique_ptr<EvidenceProvider> evidence_;
    MarketApi market_;
    ExchangeParts parts_;

    Instant attested_until_;
    bool attesting_ = false;
    bool reporting_ = false;
    bool engine_up_ = false;
    bool engine_known_ = false;
    bool probing_ = false;
    bool marked_drained_ = false;  // what the market was told last, by us
    bool drain_call_open_ = false;
    bool stopping_ = false;
    bool cut_ = false;  // the drain's deadline passed with work open
    Duration retry_;
    Instant offers_synced_at_;
    bool syncing_offers_ = false;
    std::function<void(bool)> drained_;
    net::Timer attest_timer_, probe_timer_, house_timer_, drain_timer_, drain_check_;
    std::shared_ptr<int> alive_ = std::make_shared<int>(0);
    std::unique_ptr<net::WorkerPool> keeper_;   // waits for the disk
    std::unique_ptr<net::WorkerPool> control_;  // waits for market and engine
    std::unique_ptr<Relay> relay_;
};

}  // namespace cocoon::node
