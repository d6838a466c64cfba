// ENSURE(condition): an invariant of the program itself. Stays on in release builds: a process that
// finds its own state impossible stops, is restarted and reloads from the database. Data that came
// from a peer, a file or a person never reaches an ENSURE; that is what Result<T> is for.
#pragma once

namespace cocoon {

// Writes one line to stderr and aborts.
[[noreturn]] void ensure_failed(const char* condition, const char* file, int line) noexcept;

}  // namespace cocoon

#define ENSURE(condition)                                            \
    do {                                                             \
        if (!(condition)) [[unlikely]]                               \
            ::cocoon::ensure_failed(#condition, __FILE__, __LINE__); \
    } while (false)
