#include "server/collateral_cache.hpp"

#include <algorithm>

namespace cocoon::server {
namespace {

constexpr Duration first_retry = seconds(30);  // of what is not to be had; doubled each time
constexpr Duration retry_max = minutes(30);

std::size_t bytes_of(const CollateralPiece& piece) {
    return piece.body.size() + piece.signature.size() + piece.issuer_chain.size();
}

}  // namespace

Result<CollateralCache::Found> CollateralCache::get(const std::string& name, Duration fresh_max,
                                                    const Fetch& fetch) {
    std::unique_lock lock{mutex_};
    auto& known = entries_[name];
    if (!known) known = std::make_shared<Entry>();
    const std::shared_ptr<Entry> entry = known;  // outlives its place in the table
    const auto valid = [&] { return entry->piece && clock_.now() < entry->piece->ends; };
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
    auto piece = checked(fetch, before);
    lock.lock();
    entry->fetching = false;
    fetched_.notify_all();
    if (piece) {
        keep(*entry, *std::move(piece), fresh_max);
        const Found found = entry->piece;
        forget_unused();
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

Result<CollateralPiece> CollateralCache::checked(const Fetch& fetch, const Found& before) const {
    try {
        auto piece = fetch();
        if (!piece) return piece;
        if (piece->ends <= clock_.now())
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
    const Duration half_life{(piece.ends - now).us / 2};
    bytes_ -= entry.piece ? bytes_of(*entry.piece) : 0;
    bytes_ += bytes_of(piece);
    entry.fetched_at = now;
    entry.fresh_until = now + std::min(half_life, fresh_max);
    entry.failures = 0;
    entry.retry_at = {};
    entry.piece = std::make_shared<const CollateralPiece>(std::move(piece));
}

void CollateralCache::forget_unused() {
    while (entries_.size() > limits_.entries_max || bytes_ > limits_.bytes_max) {
        auto oldest = entries_.end();
        for (auto at = entries_.begin(); at != entries_.end(); ++at) {
            if (at->second.use_count() > 1) continue;  // somebody fetches it, or waits for it
            if (oldest == entries_.end() || at->second->used_at < oldest->second->used_at)
                oldest = at;
        }
        if (oldest == entries_.end()) break;
        bytes_ -= oldest->second->piece ? bytes_of(*oldest->second->piece) : 0;
        entries_.erase(oldest);
    }
    metrics_.collateral_pieces.set(static_cast<std::int64_t>(entries_.size()));
    metrics_.collateral_bytes.set(static_cast<std::int64_t>(bytes_));
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
