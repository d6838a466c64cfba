#include "server/collateral_cache.hpp"

#include <algorithm>

#include "core/log.hpp"

namespace cocoon::server {
namespace {

constexpr Duration first_retry = seconds(30);  // of what is not to be had; doubled each time
constexpr Duration retry_max = minutes(30);

std::size_t bytes_of(const CollateralPiece& piece) {
    return piece.body.size() + piece.signature.size() + piece.issuer_chain.size();
}

}  // namespace

void CollateralCache::remember(std::vector<db::KeptCollateral> kept, CollateralShelf shelf) {
    const std::lock_guard lock{mutex_};
    shelf_ = std::move(shelf);
    for (db::KeptCollateral& each : kept) {
        auto& entry = entries_[each.name];
        entry = std::make_shared<Entry>();
        entry->fresh_until = each.fresh_until;
        entry->used_at = entry->fetched_at = each.fetched_at;
        entry->piece = std::make_shared<const CollateralPiece>(std::move(each.piece));
        bytes_ += bytes_of(*entry->piece);
    }
    forget_unused();
}

Result<CollateralCache::Found> CollateralCache::get(const std::string& name,
                                                    const CollateralUse& use, const Fetch& fetch) {
    std::unique_lock lock{mutex_};
    auto& known = entries_[name];
    if (!known) known = std::make_shared<Entry>();
    const std::shared_ptr<Entry> entry = known;  // outlives its place in the table
    const auto valid = [&] {
        return entry->piece && clock_.now() < entry->piece->ends + use.stale_max;
    };
    while (true) {
        const Instant now = clock_.now();
        entry->used_at = now;
        if (valid() && (now < entry->fresh_until || now < entry->retry_at || entry->fetching)) {
            metrics_.collateral_hits.add();
            return entry->piece;
        }
        if (!entry->fetching && now < entry->retry_at) return entry->error;
        if (!entry->fetching) break;
        fetched_.wait(lock);
    }
    entry->fetching = true;
    const Found before = valid() ? entry->piece : nullptr;
    lock.unlock();
    auto piece = checked(fetch, before, use.stale_max);
    lock.lock();
    entry->fetching = false;
    fetched_.notify_all();
    if (piece) {
        keep(*entry, *std::move(piece), use.fresh_max);
        const Found found = entry->piece;
        const db::KeptCollateral kept{name, *found, entry->fetched_at, entry->fresh_until};
        const auto forgotten = forget_unused();
        lock.unlock();
        shelve(kept, forgotten);
        return found;
    }
    const Error& error = piece.error();
    if (error.code == ErrorCode::not_found || error.code == ErrorCode::malformed_request) {
        const std::uint32_t doublings = std::min<std::uint32_t>(entry->failures++, 10);
        entry->retry_at =
            clock_.now() + std::min(first_retry * (std::int64_t{1} << doublings), retry_max);
        entry->error = error;
    }
    const Found left = valid() ? entry->piece : nullptr;
    forget_unused();
    if (!left) return error;
    metrics_.collateral_stale.add();
    return left;
}

// Without the lock: the shelf may be slow. What is left on it too long is dropped at the next
// start.
void CollateralCache::shelve(const db::KeptCollateral& kept,
                             const std::vector<std::string>& forgotten) const {
    if (!shelf_.keep) return;
    try {
        shelf_.keep(kept);
        shelf_.forget(forgotten);
    } catch (const std::exception& failure) {
        log::warning("collateral_not_kept", {{"why", failure.what()}});
    }
}

Result<CollateralPiece> CollateralCache::checked(const Fetch& fetch, const Found& before,
                                                 Duration stale_max) const {
    try {
        auto piece = fetch();
        if (!piece) return piece;
        if (piece->ends + stale_max <= clock_.now())
            return refuse(ErrorCode::malformed_request, "what is served is out of date");
        if (before && piece->issued < before->issued)
            return refuse(ErrorCode::malformed_request, "what is served is older than before");
        return piece;
    } catch (const std::exception&) {
        // Whoever waits for this fetch must not wait for ever.
        return refuse(ErrorCode::upstream_failed, "collateral could not be read");
    }
}

void CollateralCache::keep(Entry& entry, CollateralPiece piece, Duration fresh_max) {
    const Instant now = clock_.now();
    const Duration half_life{std::max<std::int64_t>(0, (piece.ends - now).us / 2)};
    bytes_ -= entry.piece ? bytes_of(*entry.piece) : 0;
    bytes_ += bytes_of(piece);
    entry.fetched_at = now;
    entry.fresh_until = now + std::min(half_life, fresh_max);
    entry.failures = 0;
    entry.retry_at = {};
    entry.piece = std::make_shared<const CollateralPiece>(std::move(piece));
}

std::vector<std::string> CollateralCache::forget_unused() {
    std::vector<std::string> forgotten;
    while (entries_.size() > limits_.entries_max || bytes_ > limits_.bytes_max) {
        auto oldest = entries_.end();
        for (auto at = entries_.begin(); at != entries_.end(); ++at) {
            if (at->second.use_count() > 1) continue;  // somebody fetches it, or waits for it
            if (oldest == entries_.end() || at->second->used_at < oldest->second->used_at)
                oldest = at;
        }
        if (oldest == entries_.end()) break;
        if (oldest->second->piece) {
            bytes_ -= bytes_of(*oldest->second->piece);
            forgotten.push_back(oldest->first);
        }
        entries_.erase(oldest);
    }
    metrics_.collateral_pieces.set(static_cast<std::int64_t>(entries_.size()));
    metrics_.collateral_bytes.set(static_cast<std::int64_t>(bytes_));
    return forgotten;
}

std::size_t CollateralCache::ending(Duration ahead) {
    const std::lock_guard lock{mutex_};
    const Instant now = clock_.now();
    std::size_t count = 0;
    for (const auto& [name, entry] : entries_) {
        if (!entry->piece) continue;
        const CollateralPiece& piece = *entry->piece;
        const Instant begins = piece.issued.us != 0 ? piece.issued : entry->fetched_at;
        const bool lasting = piece.ends - begins > ahead * 2;
        const bool used = now - entry->used_at <= ahead;
        if (lasting && used && now < piece.ends && piece.ends - now <= ahead) ++count;
    }
    metrics_.collateral_ending_pieces.set(static_cast<std::int64_t>(count));
    return count;
}

std::size_t CollateralCache::entries() const {
    const std::lock_guard lock{mutex_};
    return entries_.size();
}

}  // namespace cocoon::server
