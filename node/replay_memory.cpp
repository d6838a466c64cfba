#include "node/replay_memory.hpp"

#include <algorithm>
#include <cstring>

namespace cocoon::node {

std::size_t ReplayMemory::KeyHash::operator()(const sealing::PublicKey& key) const noexcept {
    std::size_t hash = 0;  // X25519 points are as good as random
    std::memcpy(&hash, key.data(), sizeof hash);
    return hash;
}

Result<void> ReplayMemory::admit(const sealing::PublicKey& encapsulated_key,
                                 const std::string& keyset_digest) {
    const std::lock_guard lock{mutex_};
    auto& keys = seen_[keyset_digest];
    if (keys.contains(encapsulated_key))
        return refuse(ErrorCode::sealed_message_invalid, "this sealed request was answered before");
    if (entries_locked() >= entries_max_)
        return refuse(ErrorCode::overloaded,
                      "the memory of answered requests is full until the keys change");
    keys.insert(encapsulated_key);
    return {};
}

void ReplayMemory::forget_keysets_except(const std::vector<std::string>& living_digests) {
    const std::lock_guard lock{mutex_};
    std::erase_if(seen_, [&](const auto& entry) {
        return std::find(living_digests.begin(), living_digests.end(), entry.first) ==
               living_digests.end();
    });
}

Result<void> ReplayMemory::admit_job(const std::string& job, std::uint64_t fencing_token,
                                     bool session, Instant expires_at) {
    const std::lock_guard lock{mutex_};
    if (!jobs_.contains(job) && jobs_.size() >= entries_max_)
        return refuse(ErrorCode::overloaded, "the memory of jobs is full");
    JobState& state = jobs_[job];
    if (fencing_token < state.fencing_token)
        return refuse(ErrorCode::stale_fencing_token, "a newer reservation of this job was seen");
    if (fencing_token > state.fencing_token) state.answered = false;
    if (state.answered && !session)
        return refuse(ErrorCode::wrong_state, "this job was answered already");
    state.fencing_token = fencing_token;
    state.expires_at = expires_at;
    return {};
}

void ReplayMemory::answered(const std::string& job, std::uint64_t fencing_token) {
    const std::lock_guard lock{mutex_};
    const auto found = jobs_.find(job);
    if (found != jobs_.end() && found->second.fencing_token == fencing_token)
        found->second.answered = true;
}

void ReplayMemory::forget_jobs(Instant at) {
    const std::lock_guard lock{mutex_};
    std::erase_if(jobs_, [at](const auto& entry) { return entry.second.expires_at < at; });
}

std::size_t ReplayMemory::entries() const {
    const std::lock_guard lock{mutex_};
    return entries_locked();
}

std::size_t ReplayMemory::entries_locked() const {
    std::size_t count = 0;
    for (const auto& [digest, keys] : seen_) count += keys.size();
    return count;
}

}  // namespace cocoon::node
