// The built pages as answers: encodings, caching, what is a page, and what is never answered.
#include "server/web_files.hpp"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/catch.hpp"

using namespace cocoon;
using namespace cocoon::server;

namespace {

struct Folder {
    const std::filesystem::path path =
        std::filesystem::temp_directory_path() / ("cocoon-web-" + std::to_string(::getpid()));
    Folder() {
        put("index.html", "<!doctype html>");
        put("index.html.br", "page, brotli");
        put("pages.txt", "markets\ndeveloper\n");
        put("assets/main-Ab12.js", "script");
        put("assets/main-Ab12.js.br", "script, brotli");
        put("assets/main-Ab12.js.gz", "script, gzip");
        put("mark.svg", "<svg/>");
    }
    ~Folder() { std::filesystem::remove_all(path); }
    void put(const std::string& name, std::string_view text) const {
        std::filesystem::create_directories((path / name).parent_path());
        std::ofstream{path / name} << text;
    }
    WebFiles load() const { return WebFiles::load(path.string()); }
};

net::Request get(std::string path, net::Headers headers = {}) {
    net::Request request;
    request.method = "GET";
    request.path = std::move(path);
    request.headers = std::move(headers);
    return request;
}

std::string header(const api::Response& response, std::string_view name) {
    for (const auto& [known, value] : response.headers)
        if (known == name) return value;
    return {};
}

}  // namespace

TEST_CASE("a path is answered with its file, the page, the page as 404, or not at all") {
    const Folder folder;
    const WebFiles web = folder.load();
    const struct {
        const char* path;
        const char* accept;
        int status;  // 0: not ours
        const char* body;
    } rows[] = {
        {"/", "", 200, "<!doctype html>"},
        {"/markets", "", 200, "<!doctype html>"},
        {"/markets/inference%3AQwen%2FQwen3-8B", "", 200, "<!doctype html>"},
        {"/developer/keys", "", 200, "<!doctype html>"},
        {"/assets/main-Ab12.js", "", 200, "script"},
        {"/mark.svg", "", 200, "<svg/>"},
        {"/marketsandmore", "", 0, ""},
        {"/marketsandmore", "text/html,*/*", 404, "<!doctype html>"},
        {"/assets/gone.js", "*/*", 0, ""},
        {"/index.html", "", 0, ""},
        {"/pages.txt", "", 0, ""},
        {"/v1/nothing", "text/html", 0, ""},
        {"/assets", "", 0, ""},
        {"/assets/", "", 0, ""},
        {"/../index.html", "", 0, ""},
        {"/assets/../index.html", "", 0, ""},
        {"/..%2f..%2fetc/passwd", "", 0, ""},
        {"//etc/passwd", "", 0, ""},
        {"*", "text/html", 0, ""},
        {"", "text/html", 0, ""},
    };
    for (const auto& row : rows) {
        CAPTURE(row.path, row.accept);
        const auto answer = web.answer(get(row.path, {{"Accept", row.accept}}));
        CHECK((answer ? answer->status : 0) == row.status);
        if (answer) CHECK(answer->body == row.body);
    }
    net::Request post = get("/");
    post.method = "POST";
    CHECK_FALSE(web.answer(post));
    CHECK_FALSE(WebFiles{}.answer(get("/", {{"Accept", "text/html"}})));
}

TEST_CASE("a file travels in the best encoding that the caller takes") {
    const Folder folder;
    const WebFiles web = folder.load();
    const struct {
        const char* accept;
        const char* coding;
        const char* body;
    } rows[] = {
        {"", "", "script"},
        {"gzip, deflate, br", "br", "script, brotli"},
        {"gzip", "gzip", "script, gzip"},
        {"GZIP;q=0.5", "gzip", "script, gzip"},
        {"br;q=0, gzip;q=1.0", "gzip", "script, gzip"},
        {"br;q=0.000, gzip; q=0", "", "script"},
        {"brotli, identity", "", "script"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.accept);
        const auto answer =
            web.answer(get("/assets/main-Ab12.js", {{"Accept-Encoding", row.accept}}));
        REQUIRE(answer);
        CHECK(header(*answer, "Content-Encoding") == row.coding);
        CHECK(answer->body == row.body);
        CHECK(answer->content_type == "text/javascript; charset=utf-8");
        CHECK(header(*answer, "Vary") == "Accept-Encoding");
    }
}

TEST_CASE("a wallet's pages may reach that wallet's bridge, and no other page may") {
    const Folder folder;
    folder.put("pages.txt", "markets\nwallet\n");
    folder.put("bridges.txt",
               "/wallet/one https://one.example/bridge/\n"
               "/wallet/two https://two.example/\n");
    const WebFiles web = folder.load();
    const struct {
        const char* path;
        const char* end;
    } rows[] = {
        {"/wallet/one/sign-in", "connect-src 'self' https://one.example/bridge/"},
        {"/wallet/one", "connect-src 'self' https://one.example/bridge/"},
        {"/wallet/two/proof", "connect-src 'self' https://two.example/"},
        {"/wallet/three/sign-in", "connect-src 'self'"},
        {"/wallet/oneandmore/sign-in", "connect-src 'self'"},
        {"/wallet", "connect-src 'self'"},
        {"/wallet/", "connect-src 'self'"},
        {"/markets", "connect-src 'self'"},
        {"/", "connect-src 'self'"},
    };
    for (const auto& row : rows) {
        CAPTURE(row.path);
        const auto page = web.answer(get(row.path));
        REQUIRE(page);
        const std::string policy = header(*page, "Content-Security-Policy");
        CHECK(policy.ends_with(row.end));
        CHECK(policy.find("default-src 'none'") == 0);
    }
    CHECK_FALSE(web.answer(get("/bridges.txt")));

    for (const char* line : {"/wallet/one", "/wallet/one ", "/wallet/one http://one.example/",
                             "/wallet/one https://one.example/ https://two.example/",
                             "/wallet/one https://one.example/; script-src *", "x"}) {
        CAPTURE(line);
        folder.put("bridges.txt", line);
        CHECK_THROWS_AS(folder.load(), std::runtime_error);
    }
}

TEST_CASE("the manifest that wallets read says where we are") {
    const Folder folder;
    folder.put("tonconnect-manifest.json", R"({"url":"{origin}","iconUrl":"{origin}/mark.png"})");
    const WebFiles web = WebFiles::load(folder.path.string(), "https://market.example");
    const auto manifest = web.answer(get("/tonconnect-manifest.json"));
    REQUIRE(manifest);
    CHECK(manifest->body ==
          R"({"url":"https://market.example","iconUrl":"https://market.example/mark.png"})");
    CHECK(manifest->content_type == "application/json");
    const std::string tag = header(*manifest, "ETag");
    const auto other = WebFiles::load(folder.path.string(), "https://other.example")
                           .answer(get("/tonconnect-manifest.json"));
    REQUIRE(other);
    CHECK(header(*other, "ETag") != tag);
}

TEST_CASE("hashed names are kept for ever, the page is asked about each time") {
    const Folder folder;
    const WebFiles web = folder.load();
    const auto script = web.answer(get("/assets/main-Ab12.js"));
    REQUIRE(script);
    CHECK(header(*script, "Cache-Control") == "public, max-age=31536000, immutable");
    CHECK(header(*script, "Content-Security-Policy").empty());
    const auto page = web.answer(get("/markets"));
    REQUIRE(page);
    CHECK(header(*page, "Cache-Control") == "no-cache");
    const std::string policy = header(*page, "Content-Security-Policy");
    CHECK(policy.find("default-src 'none'") == 0);
    CHECK(policy.find("unsafe") == std::string::npos);
    CHECK(header(*page, "X-Frame-Options") == "DENY");
    CHECK(header(*page, "Strict-Transport-Security").empty());

    const std::string etag = header(*page, "ETag");
    REQUIRE(etag.size() == 34);
    const auto known = web.answer(get("/", {{"If-None-Match", "\"x\", " + etag}}));
    REQUIRE(known);
    CHECK(known->status == 304);
    CHECK(known->body.empty());
    // The compressed form is another representation: its tag differs and the plain one is stale.
    const auto brotli = web.answer(get("/", {{"If-None-Match", etag}, {"Accept-Encoding", "br"}}));
    REQUIRE(brotli);
    CHECK(brotli->status == 200);
    CHECK(header(*brotli, "ETag") != etag);

    net::Request secure = get("/");
    secure.secure = true;
    CHECK(header(*web.answer(secure), "Strict-Transport-Security") == "max-age=31536000");
}

TEST_CASE("a folder that is no built web/ refuses the start") {
    CHECK_THROWS_AS(WebFiles::load("/nowhere"), std::runtime_error);
    SECTION("no list of pages") {
        const Folder folder;
        std::filesystem::remove(folder.path / "pages.txt");
        CHECK_THROWS_AS(folder.load(), std::runtime_error);
    }
    SECTION("a file nobody knows how to serve") {
        const Folder folder;
        folder.put("notes.xyz", "?");
        CHECK_THROWS_AS(folder.load(), std::runtime_error);
    }
    SECTION("a compressed file without its original") {
        const Folder folder;
        folder.put("assets/lost.js.br", "?");
        CHECK_THROWS_AS(folder.load(), std::runtime_error);
    }
    SECTION("one file more than the limit") {
        const Folder folder;
        const std::size_t there = 7;
        for (std::size_t i = there; i < web_files_max; ++i)
            folder.put("assets/" + std::to_string(i) + ".js", "");
        CHECK(folder.load().files() > 0);
        folder.put("assets/more.js", "");
        CHECK_THROWS_AS(folder.load(), std::runtime_error);
    }
    SECTION("one byte more than the limit") {
        const Folder folder;
        folder.put("assets/large.js", std::string(web_bytes_max, ' '));
        CHECK_THROWS_AS(folder.load(), std::runtime_error);
    }
}
