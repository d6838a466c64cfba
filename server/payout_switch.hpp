// Stops new payouts and lets them go on again, as an operator at the machine asks: `cocoon-market
// payouts`. One command of the market either way: asked of the market that runs, with the admin's
// key, or put into the journal as its writer when none does. Called by main. It must not know what
// a paused market does.
#pragma once

#include <string>

#include "core/result.hpp"
#include "server/config.hpp"

namespace cocoon::server {

// Audited with its note. Errors: what the running market answered; node_unavailable when it does
// not answer though it runs. Throws when the database or MARKET_ADMIN_TOKEN_FILE cannot be read.
Result<void> switch_payouts(const Config& config, bool paused, const std::string& note);

}  // namespace cocoon::server
