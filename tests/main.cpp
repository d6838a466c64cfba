// Catch2's own main, alone in its file: it is the slowest translation unit of the tests.
#define CATCH_CONFIG_MAIN
#include "tests/catch.hpp"
