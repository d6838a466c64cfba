// Lists that share their items: what copies see, and when the items go.
#include "matching/list.hpp"

#include <memory>
#include <string>
#include <thread>

#include "tests/catch.hpp"

using cocoon::matching::List;

TEST_CASE("a list holds what it was given") {
    const List<std::string> none;
    CHECK(none.empty());
    CHECK(none.size() == 0);
    CHECK(none.begin() == none.end());
    CHECK(none == List<std::string>{});
    CHECK(none == List<std::string>{std::vector<std::string>{}});

    const List<std::string> two{"eu", "a region of more than sixteen bytes"};
    CHECK(two.size() == 2);
    CHECK(two.front() == "eu");
    CHECK(two[1] == "a region of more than sixteen bytes");
    CHECK(two == List<std::string>{std::vector<std::string>{two.begin(), two.end()}});
    CHECK_FALSE(two == none);
    CHECK_FALSE(two == List<std::string>{"eu"});
}

TEST_CASE("copies of a list share its items, and a new list leaves them alone") {
    List<std::string> first{"eu"};
    const List<std::string> second = first;
    CHECK(second.begin() == first.begin());
    first = first.with("us");
    CHECK(first == List<std::string>{"eu", "us"});
    CHECK(second == List<std::string>{"eu"});
    const List<std::string>& itself = first;
    first = itself;
    CHECK(first.size() == 2);
    const List<std::string> moved = std::move(first);
    CHECK(moved.size() == 2);
    first = {};
    CHECK(first.empty());
}

TEST_CASE("the items go with the last copy, whichever thread has it") {
    const auto watched = std::make_shared<int>(7);
    {
        List<std::shared_ptr<int>> list{watched, watched};
        CHECK(watched.use_count() == 3);
        std::vector<std::thread> holders;
        for (int i = 0; i < 4; ++i)
            holders.emplace_back([list] {
                for (int copies = 0; copies < 1'000; ++copies) {
                    const List<std::shared_ptr<int>> copy = list;
                    if (copy.size() != 2) std::abort();
                }
            });
        list = {};
        for (std::thread& holder : holders) holder.join();
        holders.clear();
    }
    CHECK(watched.use_count() == 1);
}
