#include "api/login_guard.hpp"

#include <algorithm>

namespace cocoon::api {
namespace {

std::string account_subject(std::string_view account) { return "a " + std::string{account}; }
std::string known_subject(std::string_view account, std::uint64_t address) {
    return "k " + std::to_string(address) + ' ' + std::string{account};
}
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

// Where its owner has signed in before, strangers elsewhere cannot make the owner wait.
std::string LoginGuard::account_at(std::string_view account, std::uint64_t address) const {
    std::string pair = known_subject(account, address);
    return known_.contains(pair) ? pair : account_subject(account);
}

// Looked at without a trace: who must wait cannot fill the memory with names.
Instant LoginGuard::open_at(const std::string& name) const {
    const auto found = subjects_.find(name);
    if (found != subjects_.end()) return found->second.open_at;
    return subjects_.size() < limits_.subjects_max ? Instant{} : rest_.open_at;
}

Result<void> LoginGuard::begin(std::string_view account, std::uint64_t address, Instant now) {
    const std::lock_guard lock{mutex_};
    const std::string names[] = {account_at(account, address), address_subject(address)};
    const Instant open = std::max(open_at(names[0]), open_at(names[1]));
    if (open > now) {
        Error error = refuse(ErrorCode::login_locked, "Too many wrong attempts.");
        error.retry_after_seconds = ((open - now).us + 999'999) / 1'000'000;
        return error;
    }
    const int free[] = {limits_.account_attempts_free, limits_.address_attempts_free};
    for (std::size_t i = 0; i < 2; ++i) {
        Subject& subject = of(names[i], now);
        ++subject.failures;
        subject.open_at = now + wait_after(subject.failures, free[i]);
    }
    return {};
}

void LoginGuard::forgive(std::string_view account, std::uint64_t address) {
    const std::lock_guard lock{mutex_};
    const auto take_back = [](Subject& subject) {
        subject.failures = std::max(0, subject.failures - 1);
        subject.open_at = {};  // it was open, or this attempt had not begun
    };
    if (subjects_.erase(account_at(account, address)) == 0) take_back(rest_);
    const auto found = subjects_.find(address_subject(address));
    take_back(found == subjects_.end() ? rest_ : found->second);
    if (known_.size() < limits_.subjects_max) known_.insert(known_subject(account, address));
}

}  // namespace cocoon::api
