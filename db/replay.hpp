// The two audits an operator can run: replay (does the journal still give these tables?) and check
// (do the books balance?). `cocoon-market replay` and `cocoon-market check`, and many tests.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "db/pool.hpp"

namespace cocoon::db {

struct TableDifference {
    std::string table;
    std::uint64_t missing = 0;          // rows that the journal gives and the table has not
    std::uint64_t unexpected = 0;       // rows that the table has and the journal does not give
    std::vector<std::string> examples;  // primary keys, at most 5; never contents
};
struct ReplayReport {
    std::uint64_t sequence = 0;  // both sides are at this sequence
    std::uint64_t entries = 0;
    std::vector<std::string> tables;           // all that were compared
    std::vector<TableDifference> differences;  // empty: all is well
};

// Rebuilds every projection from the whole journal in a scratch schema, with the projector's own
// code, and compares table by table. The market may go on running. Throws Failure.
ReplayReport rebuild_and_compare(const ConnectOptions& options);

struct BookProblem {
    std::string check;    // "balances_equal_postings", …
    std::string subject;  // what is wrong, by id
};
// The invariants as the database sees them; empty: the books balance. Throws Failure.
std::vector<BookProblem> check_books(const ConnectOptions& options);

}  // namespace cocoon::db
