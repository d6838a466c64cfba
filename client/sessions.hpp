// Sessions: slots of one node reserved for a period, so that a call costs one exchange and no
// order. One session per model and build; opened by the first call that wants it, renewed in the
// background before it runs out, cancelled at shutdown. Whoever finds no room falls back to an
// order of its own. Any thread.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "client/market_api.hpp"
#include "client/openai.hpp"
#include "client/trust.hpp"
#include "net/worker_pool.hpp"

namespace cocoon::client {

constexpr std::size_t sessions_max = 16;  // models and builds at once; more are served by orders

class SessionPool {
public:
    SessionPool(MarketApi& market, TrustStore& trust, const Clock& clock);
    ~SessionPool() { stop(); }
    // Cancels open sessions, which releases what they hold. Takes nothing more.
    void stop();

    // A slot of a session, for one exchange of at most `bound`.
    struct Lease {
        std::string key;
        Job job;
        std::shared_ptr<const TrustedNode> node;
        Quantities bound;
    };

    // Nothing: no session is configured or it has no room; place an order instead. May open a
    // session, which takes as long as an order.
    std::optional<Lease> acquire(const InspectedRequest& request, const CallOptions& options);
    // `used`: what the answer reported (nothing: the bound is given up). `broken`: do not use this
    // session again (its node was lost, its reservation is gone).
    void release(const Lease& lease, const std::optional<Quantities>& used, bool broken);

private:
    struct Session {
        std::optional<Job> job;  // none while it is being opened
        std::shared_ptr<const TrustedNode> node;
        Quantities left;
        std::int64_t slots_used = 0;
        bool renewing = false;
        Instant not_before;  // after a failed opening
    };

    std::optional<Lease> take(Session& session, const std::string& key, const Quantities& bound);
    bool open(const std::string& key, const InspectedRequest& request, const CallOptions& options);
    void renew(const std::string& key, const Job& job);

    MarketApi& market_;
    TrustStore& trust_;
    const Clock& clock_;
    std::mutex mutex_;
    bool stopped_ = false;
    std::map<std::string, Session> sessions_;
    net::WorkerPool pool_;
};

}  // namespace cocoon::client
