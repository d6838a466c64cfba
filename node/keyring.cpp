#include "node/keyring.hpp"

#include <algorithm>

namespace cocoon::node {

Keyring::Keyring(sealing::SigningKey receipt_key, std::string subject)
    : receipt_key_{std::move(receipt_key)}, subject_{std::move(subject)} {
    // A random start: a restarted node rarely answers to the key ids of its former life, so that
    // old messages are refused as "not for this gateway" before any decryption is tried.
    sealing::fill_random({&next_key_id_, 1});
}

Result<std::shared_ptr<const KeysetKeys>> Keyring::make(Instant at, Duration life) {
    std::uint8_t key_id = 0;
    {
        const std::lock_guard lock{mutex_};
        key_id = next_key_id_++;
    }
    const auto sealing_key = sealing::SealingKey::generate();
    auto config = sealing::ohttp::make_key_config(key_id, sealing_key.public_key());
    const std::string receipt_id = "receipt-" + to_hex(receipt_key_.public_key()).substr(0, 16);
    sealing::Keyset parts;
    parts.subject = subject_;
    parts.receipt_keys.push_back({receipt_id, receipt_key_.public_key()});
    parts.sealing_keys.push_back(
        {"ohttp-" + to_hex(sealing_key.public_key()).substr(0, 16), config});
    parts.not_after = Instant{(at + life).unix_seconds() * 1'000'000};
    auto keyset = sealing::build_keyset(std::move(parts));
    if (!keyset) return keyset.error();
    return std::shared_ptr<const KeysetKeys>{std::make_shared<KeysetKeys>(KeysetKeys{
        std::move(*keyset), {std::move(config), sealing_key}, receipt_id, receipt_key_})};
}

void Keyring::adopt(std::shared_ptr<const KeysetKeys> keys) {
    const std::lock_guard lock{mutex_};
    std::erase(adopted_, keys);
    adopted_.push_back(std::move(keys));
}

void Keyring::forget_ended(Instant at) {
    const std::lock_guard lock{mutex_};
    if (adopted_.empty()) return;
    const auto ended = [&](const std::shared_ptr<const KeysetKeys>& keys) {
        return keys != adopted_.back() && keys->keyset.expired(at) && keys.use_count() == 1;
    };
    const auto current = adopted_.back();
    std::erase_if(adopted_, [&](const auto& keys) { return keys != current && ended(keys); });
}

std::shared_ptr<const KeysetKeys> Keyring::current() const {
    const std::lock_guard lock{mutex_};
    return adopted_.empty() ? nullptr : adopted_.back();
}

std::vector<std::shared_ptr<const KeysetKeys>> Keyring::openers(Instant at) const {
    const std::lock_guard lock{mutex_};
    std::vector<std::shared_ptr<const KeysetKeys>> keys;
    for (auto each = adopted_.rbegin(); each != adopted_.rend(); ++each)
        if (!(*each)->keyset.expired(at)) keys.push_back(*each);
    return keys;
}

}  // namespace cocoon::node
