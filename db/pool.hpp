// How the program reaches PostgreSQL: options, failures, and the pool of connections that workers
// read through. Made by server/app.cpp; Pool may be used from any thread. Knows nothing of what is
// read.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "core/time.hpp"

namespace cocoon::db {

class Connection;

struct ConnectOptions {
    std::string url;       // libpq's connection string or URI; never logged
    std::string database;  // instead of the one that the url names; empty: that one
    std::string application_name = "cocoon-market";
    int connect_seconds = 5;
    int statement_milliseconds = 10'000;  // the server cancels what takes longer; 0: no bound
    int lock_milliseconds = 5'000;
    std::string role;    // SET ROLE after connecting, see reader_role(); empty: none
    std::string schema;  // search_path; empty: the server's default
};

// A broken machine: the database refused a statement that should have worked, or is gone. The
// message holds the statement's name and the server's words, never parameters.
class Failure : public std::runtime_error {
public:
    Failure(const std::string& message, std::string sqlstate_code)
        : std::runtime_error{message}, sqlstate{std::move(sqlstate_code)} {}
    std::string sqlstate;  // five characters, empty if there is none
};
// The connection is gone. If a commit was under way, it may or may not have happened.
class ConnectionLost : public Failure {
public:
    explicit ConnectionLost(const std::string& message) : Failure{message, "08006"} {}
};
// No connection became free in time.
class PoolExhausted : public Failure {
public:
    PoolExhausted() : Failure{"no database connection became free in time", "53300"} {}
};

// What one named statement has cost so far, for /metrics.
struct StatementTiming {
    std::string name;
    std::uint64_t calls = 0, failures = 0, microseconds_total = 0, microseconds_max = 0;
};
std::vector<StatementTiming> statement_timings();

// The SELECT-only role that migrations made, if this user may take it on; empty otherwise (reads
// are read-only transactions all the same). For the options of the pool that serves GETs.
std::string reader_role(const ConnectOptions& options);

class Pool {
public:
    // Connections are opened when first needed, at most `connections_max`.
    Pool(ConnectOptions options, std::size_t connections_max);
    ~Pool();

    // A connection for the holder's exclusive use; returned (or dropped, if broken) by its
    // destructor.
    class Lease {
    public:
        Lease(Lease&&) noexcept = default;
        Lease& operator=(Lease&&) = delete;
        ~Lease();
        Connection& operator*() const { return *connection_; }
        Connection* operator->() const { return connection_.get(); }

    private:
        friend class Pool;
        Lease(Pool& pool, std::unique_ptr<Connection> connection);
        Pool* pool_;
        std::unique_ptr<Connection> connection_;
    };
    // Waits up to `patience`, then throws PoolExhausted. Throws ConnectionLost if none can be
    // opened.
    Lease take(Duration patience = seconds(2));

    std::size_t in_use() const;
    std::size_t connections_max() const { return connections_max_; }
    const ConnectOptions& options() const { return options_; }

private:
    void give_back(std::unique_ptr<Connection> connection);

    ConnectOptions options_;
    std::size_t connections_max_;
    mutable std::mutex mutex_;
    std::condition_variable freed_;
    std::vector<std::unique_ptr<Connection>> idle_;
    std::size_t in_use_ = 0;
};

}  // namespace cocoon::db
