// Asks toncenter (https://toncenter.com, or any server of the same two APIs) about TON: several
// endpoints with a key and a rate each, failover by method, and no trust: a page that does not
// verify, a clock that is off, an older block than seen before or another network is a failure of
// that endpoint, and the next one is asked. The settlement worker's thread; blocks. It must not
// know what the wallet is for.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "net/http_client.hpp"
#include "server/failover.hpp"
#include "server/metrics.hpp"
#include "server/rate.hpp"
#include "settlement/ton_chain.hpp"

namespace cocoon::server {

struct TonEndpoint {
    std::string url;  // without /api/v2 and without a trailing slash
    std::string key;  // secret; empty: none
};

struct ToncenterOptions {
    std::vector<TonEndpoint> endpoints;
    std::int64_t calls_per_second = 1;  // to each endpoint
    settlement::ton::Network network = settlement::ton::Network::mainnet;
    Duration clock_skew_max = seconds(60);
    Duration call_timeout = seconds(10);
    std::uint64_t seed = 1;  // of the jitter
};

class Toncenter final : public settlement::ton::Gateway {
public:
    // REQUIRES: at least one endpoint. `client` and `clock` outlive it.
    Toncenter(ToncenterOptions options, net::HttpClient& client, const Clock& clock,
              Metrics& metrics);

    Result<settlement::ton::AccountView> account(const settlement::ton::Address& address) override;
    std::vector<settlement::ton::AccountView> witnesses(
        const settlement::ton::Address& address) override;
    std::size_t providers() const override { return options_.endpoints.size(); }
    Result<std::vector<settlement::ton::Transaction>> transactions(
        const settlement::ton::Address& address, const settlement::ton::TransactionId& newest,
        std::uint64_t after_lt) override;
    Result<void> send(ByteView message) override;
    Result<settlement::ton::CellRef> parameter(int number) override;

    // Ends the call that is open and refuses all further ones; any thread.
    void stop();

private:
    enum class Method : std::size_t { account, transactions, parameter, send_v2, send_v3 };
    static constexpr std::size_t methods = 5;

    Result<net::ClientResponse> call(std::size_t endpoint, Method method,
                                     net::ClientRequest request);
    Result<void> check_network(std::size_t endpoint);
    Result<settlement::ton::AccountView> account_at(std::size_t endpoint, const std::string& path);
    // Asks one endpoint after the other until one's answer satisfies `ask`.
    template <class T>
    Result<T> first_good(Method method, const std::function<Result<T>(std::size_t)>& ask);
    Result<void> send_to(std::size_t endpoint, Method method, const std::string& path,
                         const std::string& body);
    void note_failure(std::size_t endpoint, Method method, const Error& error);
    std::uint64_t chance();

    const ToncenterOptions options_;
    net::HttpClient& client_;
    const Clock& clock_;
    Metrics& metrics_;
    net::CancelToken cancel_;
    Failover failover_;
    RateTable rate_;
    std::vector<bool> network_known_;    // [endpoint]
    std::vector<Duration> asked_pause_;  // [endpoint]: Retry-After of its newest answer
    std::uint32_t newest_seqno_ = 0;
    std::size_t next_sender_ = 0;
    std::uint64_t chance_;
};

}  // namespace cocoon::server
