// What the webhook worker remembers: how far it has read the journal, and what is still to be
// delivered. Its own short transactions on the pool; background thread. At least once: a crash
// between a delivery and record() sends it again (receivers deduplicate by webhook-id).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "db/pool.hpp"
#include "db/rows.hpp"

namespace cocoon::db {

class Outbox {
public:
    explicit Outbox(Pool& pool) : pool_{pool} {}

    // The journal sequence up to which events were turned into deliveries.
    std::uint64_t cursor();
    // Stores the deliveries and moves the cursor, both or neither. False if the cursor was not at
    // `from` (another worker was faster): read it again.
    bool advance(std::uint64_t from, std::uint64_t to, std::span<const Delivery> deliveries);
    struct Due {
        Instant now;
        std::uint32_t rows_max = 0;  // in all
        std::uint32_t webhook_rows_max = 0;
        std::vector<AccountId> passed_over;  // they have enough
    };
    // Deliveries whose time has come: the oldest of each webhook, then the next of each, so that
    // nobody's backlog hides another's. Costs one look into an index for each webhook that waits.
    std::vector<Delivery> due(const Due& asked);
    // The outcome of one attempt: attempts, next_attempt_at, ended_at, status and failure are
    // stored.
    void record(const Delivery& delivery);
    // The newest deliveries of a webhook, newest first.
    std::vector<Delivery> recent(WebhookId webhook, std::uint32_t rows_max);
    // Makes every failed or given-up delivery since `since` due again. Returns how many.
    std::uint64_t redeliver(WebhookId webhook, EntryKey since, Instant now);
    // Forgets what was delivered or given up before `before`, oldest first. Returns how many.
    std::uint64_t forget(Instant before, std::uint32_t rows_max);

private:
    Pool& pool_;
};

}  // namespace cocoon::db
