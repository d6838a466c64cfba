// What the process says about itself: /livez, /readyz, /metrics. I/O thread; the one check that may
// block (the database) runs on a worker.
#pragma once

#include <memory>

#include "db/pool.hpp"
#include "db/projector.hpp"
#include "net/worker_pool.hpp"
#include "server/directory.hpp"
#include "server/incoming.hpp"
#include "server/lane.hpp"
#include "server/relay.hpp"

namespace cocoon::server {

struct HealthDoors {
    db::Pool& pool;
    db::Projector& projector;
    Lane& lane;
    const Directory& directory;
    const Relay& relay;
    net::WorkerPool& workers;
    net::EventLoop& loop;
    const Clock& clock;
    Metrics& metrics;
};

class Health {
public:
    explicit Health(HealthDoors doors)
        : doors_{std::move(doors)}, started_at_{doors_.clock.now()} {}

    // 200 while the I/O thread answers at all.
    void live(Incoming& in) const;
    // 200 if every check passes, else 503; each check is listed with its own word.
    void ready(std::shared_ptr<Incoming> in) const;
    void metrics(Incoming& in) const;
    // From now on not ready.
    void drain() { draining_ = true; }

private:
    HealthDoors doors_;
    const Instant started_at_;
    bool draining_ = false;
};

}  // namespace cocoon::server
