#include "api/login_guard.hpp"

#include <algorithm>

namespace cocoon::api {
namespace {

std::string account_subject(std::string_view account) { return "a " + std::string{account}; }
std::string address_subject(std::uint64_t address) { return "p " + std::to_string(address); }

Duration wait_after(int failures, int free) {
    if (failures < free) return {};
    const int doublings = std::min(failures - free, 20);
    return seconds(
        std::min(limits::login_wait_seconds_max, limits::login_wait_seconds_first << doublings));
}

}  // namespace

LoginGuard::Subject& LoginGuard::of(const std::string& name, Instant now) {
    const auto forgotten = [now](const Subject& subject) {
        return subject.last + seconds(limits::login_memory_seconds) <= now;
    };
    auto found = subjects_.find(name);
    if (found == subjects_.end() && subjects_.size() >= limits_.subjects_max)
        std::erase_if(subjects_, [&](const auto& entry) { return forgotten(entry.second); });
    if (found == subjects_.end() && subjects_.size() < limits_.subjects_max)
        found = subjects_.try_emplace(name).first;
    Subject& subject = found != subjects_.end() ? found->second : rest_;
    if (forgotten(subject)) subject = {};
    subject.last = now;
    return subject;
}

Result<void> LoginGuard::begin(std::string_view account, std::uint64_t address, Instant now) {
    const std::lock_guard lock{mutex_};
    Subject* const both[] = {&of(account_subject(account), now),
                             &of(address_subject(address), now)};
    const Instant open_at = std::max(both[0]->open_at, both[1]->open_at);
    if (open_at > now) {
        Error error = refuse(ErrorCode::login_locked, "Too many wrong attempts.");
        error.retry_after_seconds = ((open_at - now).us + 999'999) / 1'000'000;
        return error;
    }
    const int free[] = {limits_.account_attempts_free, limits_.address_attempts_free};
    for (std::size_t i = 0; i < 2; ++i) {
        Subject& subject = *both[i];
        ++subject.failures;
        subject.open_at = now + wait_after(subject.failures, free[i]);
    }
    return {};
}

void LoginGuard::forgive(std::string_view account, std::uint64_t address) {
    const std::lock_guard lock{mutex_};
    subjects_.erase(account_subject(account));
    const auto found = subjects_.find(address_subject(address));
    if (found == subjects_.end()) return;
    found->second.failures = std::max(0, found->second.failures - 1);
    found->second.open_at = {};  // it was open, or this attempt had not begun
}

}  // namespace cocoon::api
