// The node's keys over time: one receipt key (its identity, in a file) and a sealing key for each
// keyset. Sealing keys live in memory only and end with the process: nothing on disk can ever open
// a recorded message, and a message recorded before a restart cannot be played again after it.
// Called by attestor (new keysets) and exchange (which keys may open, what to sign with); any
// thread. Must not know who attests a keyset.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "core/result.hpp"
#include "core/time.hpp"
#include "sealing/keyset.hpp"
#include "sealing/ohttp.hpp"

namespace cocoon::node {

// One keyset and the private keys behind it; immutable.
struct KeysetKeys {
    sealing::Keyset keyset;
    sealing::ohttp::GatewayKey gateway;
    std::string receipt_key_id;
    sealing::SigningKey receipt_key;
};

class Keyring {
public:
    // `subject` names the node in its keysets.
    Keyring(sealing::SigningKey receipt_key, std::string subject);

    // A keyset with a fresh sealing key that lives for `life`. Not used until adopt().
    Result<std::shared_ptr<const KeysetKeys>> make(Instant at, Duration life);
    // From now on the one that is offered; the others still open what was sealed to them.
    void adopt(std::shared_ptr<const KeysetKeys> keys);
    // Forgets keysets other than the current one that have ended before `at` and that nobody uses:
    // an exchange holds its keyset by the pointers of openers().
    void forget_ended(Instant at);

    // nullptr before the first adopt().
    std::shared_ptr<const KeysetKeys> current() const;
    // Every keyset that may open a message now, the current one first.
    std::vector<std::shared_ptr<const KeysetKeys>> openers(Instant at) const;

private:
    const sealing::SigningKey receipt_key_;
    const std::string subject_;
    mutable std::mutex mutex_;
    std::vector<std::shared_ptr<const KeysetKeys>> adopted_;  // the current one is last
    std::uint8_t next_key_id_;
};

}  // namespace cocoon::node
