// Signs receipts and keeps those the market has not acknowledged: on disk before they are sent, so
// that a killed process loses none; flushed to the medium right after, so that a power cut loses at
// most what was signed within the last moment. Also keeps each session's counter and sums. Called
// by exchange (worker threads) and relay (loop's thread); any thread. Must not know sockets.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/result.hpp"
#include "core/time.hpp"
#include "node/keyring.hpp"
#include "sealing/receipt.hpp"

namespace cocoon::node {

constexpr std::size_t receipts_pending_max =
    65'536;  // more: new jobs are refused with `overloaded`

class ReceiptBook {
public:
    explicit ReceiptBook(std::string directory);

    // Reads what an earlier process left. Files that are no receipts are reported and left alone.
    Result<void> load(Instant at);

    // Whether there is room for the receipts of further jobs.
    Result<void> admit() const;

    // Fills in cost, receipt id and (for a session) counter and sums, signs, stores, then calls
    // `send(document)`. Receipts of one session are sent in the order of their counters.
    // `arithmetic_overflow` if the cost cannot be represented.
    Result<std::string> sign(sealing::JobReceipt draft, bool session, Instant expires_at,
                             const KeysetKeys& keys,
                             const std::function<void(const std::string&)>& send);

    // The market has stored it (a session's counter acknowledges all before it).
    void acknowledge(const std::string& job, std::uint64_t counter);

    struct Pending {
        std::string job;
        std::uint64_t counter = 0;
        std::string document;
    };
    // Those signed before `before`, in the order of job and counter.
    std::vector<Pending> pending(Instant before) const;
    // The receipt of a job that is no session's, if it is not acknowledged.
    std::optional<std::string> document(const std::string& job) const;
    std::size_t pending_count() const;

    // Waits for the disk for everything signed since the last call. Background thread.
    void make_durable();
    // Sessions that ended before `at` and have no receipt left are forgotten.
    void forget_sessions(Instant at);

private:
    struct Session {
        std::mutex order;  // held from taking a counter until its receipt was handed to `send`
        std::uint64_t counter = 0;
        sealing::ReceiptUsage usage;
        Nano cost;
        Instant expires_at;
    };
    using Key = std::pair<std::string, std::uint64_t>;

    std::shared_ptr<Session> session_of(const std::string& job, Instant expires_at);
    void store(const Key& key, const std::string& document, Instant served_at);
    void store_session(const std::string& job, const Session& session);
    void load_receipt(const std::string& name);
    void load_session(const std::string& name, Instant at);
    std::string receipt_path(const Key& key) const;
    std::string session_path(const std::string& job) const;

    const std::string directory_;
    mutable std::mutex mutex_;
    struct Kept {
        std::string document;
        Instant served_at;
    };
    std::map<Key, Kept> pending_;
    std::map<std::string, std::shared_ptr<Session>> sessions_;
    std::vector<std::string> to_flush_;
};

}  // namespace cocoon::node
