// cocoon-market as a whole: builds every part, runs until told to stop, takes the parts down in
// reverse.
// Called by main only; the one place that knows all parts.
#pragma once

#include "server/config.hpp"

namespace cocoon::server {

// Serves until SIGTERM or SIGINT. The process's exit status: 0 after a clean drain, 1 when the
// market could not start or another writer took over.
int serve(const Config& config);

}  // namespace cocoon::server
