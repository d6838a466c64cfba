// Result<T>: a value, or the Error that explains why there is none. A refusal the caller can act on
// travels as a value; a broken machine (database gone) is an exception; a broken program is ENSURE.
// Names follow std::expected so that the alias can replace the class when the compiler has it.
#pragma once

#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

#include "core/ensure.hpp"
#include "core/error.hpp"

namespace cocoon {

template <class T>
class [[nodiscard]] Result {
public:
    using value_type = T;

    Result(T value) : content_{std::in_place_index<0>, std::move(value)} {}
    Result(Error error) : content_{std::in_place_index<1>, std::move(error)} {}

    bool has_value() const noexcept { return content_.index() == 0; }
    explicit operator bool() const noexcept { return has_value(); }

    // REQUIRES: has_value().
    T& value() & {
        ENSURE(has_value());
        return *std::get_if<0>(&content_);
    }
    const T& value() const& {
        ENSURE(has_value());
        return *std::get_if<0>(&content_);
    }
    T&& value() && {
        ENSURE(has_value());
        return std::move(*std::get_if<0>(&content_));
    }
    T& operator*() & { return value(); }
    const T& operator*() const& { return value(); }
    T&& operator*() && { return std::move(*this).value(); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }

    // REQUIRES: !has_value().
    Error& error() & {
        ENSURE(!has_value());
        return *std::get_if<1>(&content_);
    }
    const Error& error() const& {
        ENSURE(!has_value());
        return *std::get_if<1>(&content_);
    }
    Error&& error() && {
        ENSURE(!has_value());
        return std::move(*std::get_if<1>(&content_));
    }

private:
    std::variant<T, Error> content_;
};

template <>
class [[nodiscard]] Result<void> {
public:
    using value_type = void;

    Result() = default;
    Result(Error error) : error_{std::move(error)} {}

    bool has_value() const noexcept { return !error_.has_value(); }
    explicit operator bool() const noexcept { return has_value(); }
    void value() const { ENSURE(has_value()); }

    const Error& error() const& {
        ENSURE(!has_value());
        return *error_;
    }
    Error&& error() && {
        ENSURE(!has_value());
        return std::move(*error_);
    }

private:
    std::optional<Error> error_;
};

}  // namespace cocoon
