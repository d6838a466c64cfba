#include "node/receipt_book.hpp"

#include <algorithm>
#include <filesystem>

#include "core/ids.hpp"
#include "core/log.hpp"
#include "node/files.hpp"
#include "node/metering.hpp"
#include "node/wire.hpp"
#include "sealing/canonical_json.hpp"

namespace cocoon::node {
namespace {

using sealing::Json;

constexpr std::string_view session_suffix = ".session";
constexpr std::string_view receipt_suffix = ".receipt";

}  // namespace

ReceiptBook::ReceiptBook(std::string directory) : directory_{std::move(directory)} {}

Result<void> ReceiptBook::load(Instant at) {
    if (const auto made = make_private_directory(directory_); !made) return made;
    std::error_code failure;
    for (const auto& entry : std::filesystem::directory_iterator{directory_, failure}) {
        const std::string name = entry.path().filename().string();
        if (name.ends_with(receipt_suffix))
            load_receipt(name);
        else if (name.ends_with(session_suffix))
            load_session(name, at);
        else if (name.ends_with(".new"))
            remove_file(directory_ + "/" + name);  // a write a crash cut off
    }
    if (failure)
        return refuse(ErrorCode::internal_error,
                      "cannot list " + directory_ + ": " + failure.message());
    return {};
}

void ReceiptBook::load_receipt(const std::string& name) {
    // "job_9.3.receipt"
    const std::string_view stem =
        std::string_view{name}.substr(0, name.size() - receipt_suffix.size());
    const auto dot = stem.find('.');
    const std::string job{stem.substr(0, dot)};
    const auto counter =
        dot == std::string_view::npos ? std::nullopt : Nano::parse(stem.substr(dot + 1));
    const auto document = read_file(directory_ + "/" + name, sealing::receipt_bytes_max, true);
    if (!JobId::parse(job) || !counter || counter->value < 0 || !document ||
        !Json::parse(*document)) {
        log::warning("a stored receipt cannot be read", {{"file", name}});
        return;
    }
    pending_[{job, static_cast<std::uint64_t>(counter->value)}] = {*document, Instant{}};
}

void ReceiptBook::load_session(const std::string& name, Instant at) {
    const std::string job = name.substr(0, name.size() - session_suffix.size());
    const auto text = read_file(directory_ + "/" + name, 4096, true);
    const auto document = text ? Json::parse(*text) : Result<Json>{text.error()};
    const auto usage = document ? parse_quantity(document->find("usage"))
                                : Result<sealing::ReceiptUsage>{document.error()};
    const auto cost = document ? Nano::parse(document->text_at("cost").value_or("")) : std::nullopt;
    const auto expires_at =
        document ? Instant::parse(document->text_at("expires_at").value_or("")) : std::nullopt;
    const auto counter = document ? document->integer_at("counter") : std::nullopt;
    if (!JobId::parse(job) || !usage || !cost || !expires_at || !counter || *counter < 0) {
        log::warning("a stored session cannot be read", {{"file", name}});
        return;
    }
    if (*expires_at < at) {
        remove_file(directory_ + "/" + name);
        return;
    }
    auto session = std::make_shared<Session>();
    session->counter = static_cast<std::uint64_t>(*counter);
    session->usage = *usage;
    session->cost = *cost;
    session->expires_at = *expires_at;
    sessions_[job] = std::move(session);
}

Result<void> ReceiptBook::admit() const {
    const std::lock_guard lock{mutex_};
    if (pending_.size() < receipts_pending_max) return {};
    return refuse(ErrorCode::overloaded, "too many receipts wait for the market");
}

Result<std::string> ReceiptBook::sign(sealing::JobReceipt draft, bool session, Instant expires_at,
                                      const KeysetKeys& keys,
                                      const std::function<void(const std::string&)>& send) {
    const auto cost = cost_of(draft.prices, draft.usage);
    if (!cost) return cost.error();
    draft.cost = *cost;
    draft.receipt_id = draft.job;
    std::shared_ptr<Session> state;
    std::unique_lock<std::mutex> order;
    if (session) {
        state = session_of(draft.job, expires_at);
        order = std::unique_lock{state->order};
        Nano total;
        if (__builtin_add_overflow(state->cost.value, cost->value, &total.value))
            return refuse(ErrorCode::arithmetic_overflow, "the session's cost exceeds 64 bits");
        draft.session_counter = state->counter + 1;
        draft.cumulative_usage = sum_of(state->usage, draft.usage);
        draft.cumulative_cost = total;
        draft.receipt_id += "." + std::to_string(draft.session_counter);
    }
    auto document =
        sealing::sign_receipt(draft, keys.keyset, keys.receipt_key_id, keys.receipt_key);
    if (!document) return document;
    if (state) {
        state->counter = draft.session_counter;
        state->usage = draft.cumulative_usage;
        state->cost = draft.cumulative_cost;
        store_session(draft.job, *state);
    }
    store({draft.job, draft.session_counter}, *document, draft.served_at);
    send(*document);
    return document;
}

std::shared_ptr<ReceiptBook::Session> ReceiptBook::session_of(const std::string& job,
                                                              Instant expires_at) {
    const std::lock_guard lock{mutex_};
    auto& session = sessions_[job];
    if (!session) session = std::make_shared<Session>();
    session->expires_at = std::max(session->expires_at, expires_at);
    return session;
}

void ReceiptBook::store(const Key& key, const std::string& document, Instant served_at) {
    const std::string path = receipt_path(key);
    // A disk that cannot take it must not cost the client its answer: the receipt stays in memory.
    const auto stored = replace_file(path, document, false);
    if (!stored)
        log::error("a receipt could not be stored",
                   {{"job", key.first}, {"cause", stored.error().detail}});
    const std::lock_guard lock{mutex_};
    pending_[key] = {document, served_at};
    if (stored) to_flush_.push_back(path);
}

void ReceiptBook::store_session(const std::string& job, const Session& session) {
    const std::string text = Json::object({{"counter", static_cast<std::int64_t>(session.counter)},
                                           {"usage", quantity_json(session.usage)},
                                           {"cost", session.cost.text()},
                                           {"expires_at", session.expires_at.text()}})
                                 .serialize();
    const std::string path = session_path(job);
    const auto stored = replace_file(path, text, false);
    if (!stored)
        log::error("a session could not be stored",
                   {{"job", job}, {"cause", stored.error().detail}});
    const std::lock_guard lock{mutex_};
    if (stored) to_flush_.push_back(path);
}

void ReceiptBook::acknowledge(const std::string& job, std::uint64_t counter) {
    std::vector<Key> gone;
    {
        const std::lock_guard lock{mutex_};
        for (auto each = pending_.lower_bound({job, 0});
             each != pending_.end() && each->first.first == job && each->first.second <= counter;) {
            gone.push_back(each->first);
            each = pending_.erase(each);
        }
    }
    for (const Key& key : gone) remove_file(receipt_path(key));
}

std::vector<ReceiptBook::Pending> ReceiptBook::pending(Instant before) const {
    const std::lock_guard lock{mutex_};
    std::vector<Pending> list;
    for (const auto& [key, kept] : pending_)
        if (kept.served_at < before) list.push_back({key.first, key.second, kept.document});
    return list;
}

std::optional<std::string> ReceiptBook::document(const std::string& job) const {
    const std::lock_guard lock{mutex_};
    const auto found = pending_.find({job, 0});
    return found == pending_.end() ? std::nullopt : std::optional{found->second.document};
}

std::size_t ReceiptBook::pending_count() const {
    const std::lock_guard lock{mutex_};
    return pending_.size();
}

void ReceiptBook::make_durable() {
    std::vector<std::string> paths;
    {
        const std::lock_guard lock{mutex_};
        paths.swap(to_flush_);
    }
    std::sort(paths.begin(), paths.end());
    paths.erase(std::unique(paths.begin(), paths.end()), paths.end());
    for (const std::string& path : paths) {
        const auto flushed =
            node::make_durable(path);  // one that is gone was acknowledged meanwhile
        if (!flushed && flushed.error().code != ErrorCode::not_found)
            log::error("a receipt could not be flushed", {{"cause", flushed.error().detail}});
    }
}

void ReceiptBook::forget_sessions(Instant at) {
    std::vector<std::string> gone;
    {
        const std::lock_guard lock{mutex_};
        std::erase_if(sessions_, [&](const auto& entry) {
            const auto& [job, session] = entry;
            const auto first = pending_.lower_bound({job, 0});
            const bool unacknowledged = first != pending_.end() && first->first.first == job;
            if (session->expires_at >= at || unacknowledged || session.use_count() > 1)
                return false;
            gone.push_back(job);
            return true;
        });
    }
    for (const std::string& job : gone) remove_file(session_path(job));
}

std::string ReceiptBook::receipt_path(const Key& key) const {
    return directory_ + "/" + key.first + "." + std::to_string(key.second) +
           std::string{receipt_suffix};
}

std::string ReceiptBook::session_path(const std::string& job) const {
    return directory_ + "/" + job + std::string{session_suffix};
}

}  // namespace cocoon::node
