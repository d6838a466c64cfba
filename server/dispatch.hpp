// From a request on the socket to its answer: admission, route, authorization, then one of four
// ways (command, query, view, native). Runs on the I/O thread; reads and large bodies go to
// workers, commands to the lane, streams to relay and feeds. Knows the routes' kinds and none of
// their meanings.
#pragma once

#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "api/routes.hpp"
#include "db/pool.hpp"
#include "db/projector.hpp"
#include "net/worker_pool.hpp"
#include "server/admission.hpp"
#include "server/directory.hpp"
#include "server/incoming.hpp"
#include "server/lane.hpp"
#include "server/web_files.hpp"

namespace cocoon::server {

struct DispatchDoors {
    net::EventLoop& loop;
    net::WorkerPool& workers;
    net::WorkerPool& waiting_workers;  // for routes that may wait for other services
    net::WorkerPool& sign_in_workers;  // for slow hashes: few at a time
    Lane& lane;
    db::Pool& pool;
    db::Projector& projector;
    Admission& admission;
    const Directory& directory;
    const api::Context& context;
    const Clock& clock;
    Metrics& metrics;
    const AnswerPolicy& policy;
    const WebFiles& pages;
    // Routes that are streams or speak about the process.
    std::function<void(api::Native, std::shared_ptr<Incoming>,
                       const std::vector<std::string>& captures)>
        native;
};

class Dispatch {
public:
    explicit Dispatch(DispatchDoors doors);

    net::HttpHandler handler();
    // After the directory has taken the batch: answers that waited for a resting request.
    void stored(const matching::Batch& batch);
    // Reads of this account must include `sequence` from now on.
    void answered(AccountId account, std::uint64_t sequence);

private:
    struct Task;    // one request after routing
    struct Parked;  // an answer that waits for its request to match

    void take(std::shared_ptr<net::Exchange> exchange);
    std::optional<Error> admit_route(const Incoming& in, const api::Route& route);
    void renew(const api::Principal& session, Instant until);
    void no_route(Incoming& in, const api::Lookup& lookup) const;
    void preflight(Incoming& in) const;
    std::shared_ptr<Task> task_of(const std::shared_ptr<Incoming>& in, const api::Route& route,
                                  api::Method method, std::vector<std::string> captures);
    template <class Work>
    static void guarded(const Task& task, const Work& work);
    void run_command(const std::shared_ptr<Task>& task);
    void submit(const std::shared_ptr<Task>& task);
    void finish(const std::shared_ptr<Task>& task, matching::Answered answer);
    void park(const std::shared_ptr<Task>& task, matching::Answered answer, RequestId request);
    void unpark(const std::shared_ptr<Parked>& parked);
    void run_view(const std::shared_ptr<Task>& task);
    void run_query(const std::shared_ptr<Task>& task);
    void answer_query(Task& task, std::uint64_t sequence);
    std::string entropy();

    DispatchDoors doors_;
    std::unordered_map<AccountId, std::uint64_t> answered_;
    std::unordered_map<RequestId, std::vector<std::shared_ptr<Parked>>> parked_;
    std::string entropy_;
};

}  // namespace cocoon::server
