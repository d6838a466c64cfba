#include "core/ensure.hpp"

#include <cstdio>
#include <cstdlib>

namespace cocoon {

void ensure_failed(const char* condition, const char* file, int line) noexcept {
    std::fprintf(stderr,
                 "{\"level\":\"fatal\",\"event\":\"ensure_failed\",\"condition\":\"%s\","
                 "\"file\":\"%s\",\"line\":%d}\n",
                 condition, file, line);
    std::abort();
}

}  // namespace cocoon
