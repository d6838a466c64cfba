// cocoon-node: the seller's program, beside the GPU. All commands are in commands.cpp.
#include <exception>
#include <vector>

#include "core/log.hpp"
#include "node/commands.hpp"

int main(int count, char** values) {
    try {
        return cocoon::node::run_command({values + 1, values + count});
    } catch (const std::exception& failure) {
        cocoon::log::error("the node cannot go on", {{"cause", failure.what()}});
        return 1;
    }
}
