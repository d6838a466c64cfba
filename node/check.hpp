// One thing that doctor looked at: what is there, whether that will do, and what to do if not. Made
// by doctor.cpp and doctor_evidence.cpp; plain values.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"

namespace cocoon::node {

enum class Health { pass, warn, fail };
std::string_view to_text(Health health);  // "PASS", "WARN", "FAIL"

struct Check {
    std::string name;  // stable: "engine.generates"
    Health health = Health::pass;
    std::string found;   // what is there
    std::string remedy;  // what to do; empty when it passed
};

inline Check passed(std::string name, std::string found) {
    return {std::move(name), Health::pass, std::move(found), {}};
}
inline Check warned(std::string name, std::string found, std::string remedy) {
    return {std::move(name), Health::warn, std::move(found), std::move(remedy)};
}
inline Check failed(std::string name, std::string found, std::string remedy) {
    return {std::move(name), Health::fail, std::move(found), std::move(remedy)};
}

inline std::string described(const Error& error) {
    return error.detail.empty() ? std::string{describe(error.code).title} : error.detail;
}

}  // namespace cocoon::node
