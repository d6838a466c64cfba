// One sealed exchange from the node's side: checks the terms, opens the request, asks the engine,
// seals the answer piece by piece, meters it and signs the receipt. Called by relay on a worker
// thread, one call for each exchange; blocks until the answer is done or given up. Plaintext lives
// only here, in memory, for as long as the call. Must not know WebSockets: sealed bytes go out
// through an Outlet.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "core/time.hpp"
#include "net/http_client.hpp"
#include "node/engine.hpp"
#include "node/keyring.hpp"
#include "node/receipt_book.hpp"
#include "node/replay_memory.hpp"
#include "node/settings.hpp"
#include "node/wire.hpp"

namespace cocoon::node {

// Where one exchange's sealed answer goes. Worker thread.
class Outlet {
public:
    virtual ~Outlet() = default;
    // Blocks while the receiver has no room. False: nobody takes it any more (cancelled or gone).
    virtual bool send_sealed(ByteView bytes) = 0;
    // The last word of an exchange: exactly one of both. Never blocks for credit.
    virtual void send_end(const std::string& receipt) = 0;
    virtual void send_failed(const FailedFrame& failed) = 0;
    virtual bool cancelled() const = 0;
};

// What exchanges share. Everything outlives them.
struct ExchangeParts {
    const Settings& settings;
    std::string node;  // "node_1"
    Keyring& keyring;
    ReplayMemory& replays;
    ReceiptBook& receipts;
    Engine& engine;
    const Clock& clock;
};

// Serves one exchange to its end and says so through `outlet`.
void serve_exchange(const ExchangeParts& parts, const OpenFrame& open, Bytes sealed_request,
                    Outlet& outlet, net::CancelToken& cancel);

}  // namespace cocoon::node
