// What exists before anyone signs up: the market's key, its first admin, the first fee. Called by
// app before the lane runs. Secrets go to files of mode 0600 and nowhere else.
#pragma once

#include <string>

#include "api/login.hpp"
#include "db/logins.hpp"
#include "matching/writer.hpp"
#include "sealing/signing.hpp"
#include "server/config.hpp"

namespace cocoon::server {

// The folder of `file` exists afterwards. Throws std::runtime_error if it cannot be made.
void make_folder_of(const std::string& file);
// Replaces `file` by `content`, mode 0600, whole or not at all. Throws std::runtime_error.
void write_secret_file(const std::string& file, const std::string& content);
// What `file` holds, at most 16 KiB. Throws std::runtime_error, also when others may read the file.
std::string read_secret_file(const std::string& file);
// The market's cosigning key; made at the first start. Throws std::runtime_error with what to do.
sealing::SigningKey market_key(const std::string& file);
// 32 bytes that stay the same across restarts, derived from the market's key, others for each
// label.
std::string derived_secret(const sealing::SigningKey& key, std::string_view label);
// What the first accounts are made with, before the lane runs.
struct FirstDoors {
    matching::Writer& writer;
    db::Logins& logins;
    const api::LoginKeys& keys;
};
// If the market has no admin yet: opens the account, sets the first fee, and writes the key to the
// configured file before the commit, then a sign-in for the pages to another. REQUIRES: the writer
// is loaded and the lane does not run.
void open_first_admin(const FirstDoors& doors, const Config& config, Instant now);
// An account of kind admin for each of MARKET_MORE_ADMINS whose name no admin has, likewise: who
// approves large payouts is decided at the machine, so that one stolen admin key makes no second
// person. REQUIRES: as above.
void open_more_admins(const FirstDoors& doors, const Config& config, Instant now);
// What the settings demand of nodes becomes the market's rule, in the audit log if it is another
// one than before. REQUIRES: as above.
void set_trust_rule(matching::Writer& writer, const Config& config, Instant now);

}  // namespace cocoon::server
