// Brings the schema to the version this program was built with. Called by `cocoon-market migrate`
// (applies) and by `serve`, `check` and `replay` (only verify). The files of migrations/ are inside
// the binary; a migration is one transaction, applied once, forward only, and may never be edited.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"
#include "db/pool.hpp"

namespace cocoon::db {

struct Migration {
    int version = 0;        // the NNNN of NNNN_name.sql, from 1 without gaps
    std::string_view name;  // "NNNN_name"
    std::string_view sql;
};

// The migrations inside this binary, ascending.
std::span<const Migration> embedded_migrations();

struct MigrationReport {
    int version_before = 0, version_after = 0;
    std::vector<std::string> applied;  // names
};

// Applies what is missing; several processes may call it at once (advisory lock). Refuses with
// wrong_state: an applied migration was edited or is unknown here, or versions have a gap.
Result<MigrationReport> migrate(const ConnectOptions& options,
                                std::span<const Migration> migrations = embedded_migrations());

// Whether the schema is exactly the embedded one; wrong_state says what differs.
Result<void> check_schema(const ConnectOptions& options,
                          std::span<const Migration> migrations = embedded_migrations());

}  // namespace cocoon::db
