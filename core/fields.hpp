// COCOON_FIELDS(a, b, c) inside a plain struct lists its members once; equality, the journal's
// binary form and the state hash are all derived from that list (matching/codec.hpp), so none can
// miss one.
#pragma once

#include <tuple>

#define COCOON_FIELDS(Type, ...)                          \
    auto fields() { return std::tie(__VA_ARGS__); }       \
    auto fields() const { return std::tie(__VA_ARGS__); } \
    friend bool operator==(const Type& a, const Type& b) { return a.fields() == b.fields(); }
