// The development chain of settlement/devchain (npm) as a child process, with its faucet and its
// faults. For tests only; skipped where npm's packages are not installed.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "net/http_client.hpp"
#include "tests/catch.hpp"

namespace cocoon::test {

class SandboxChain {
public:
    static bool installed() {
        const bool found = std::filesystem::exists(
            COCOON_SOURCE_DIR "/settlement/devchain/node_modules/@ton/sandbox");
        if (!found)
            std::printf("SKIPPED: run npm ci in settlement/devchain for the real machine\n");
        return found;
    }

    explicit SandboxChain(std::size_t providers = 2, int block_milliseconds = 40)
        : block_milliseconds_{block_milliseconds},
          journal_{std::filesystem::temp_directory_path() /
                   ("cocoon_sandbox_" + std::to_string(::getpid()))},
          ports_(providers, 0) {
        std::filesystem::remove(journal_);
        start();
    }
    ~SandboxChain() {
        end(SIGKILL);
        std::filesystem::remove(journal_);
    }
    SandboxChain(const SandboxChain&) = delete;
    SandboxChain& operator=(const SandboxChain&) = delete;

    std::string url(std::size_t provider) const {
        return "http://127.0.0.1:" + std::to_string(ports_[provider]);
    }
    // The same chain again, from its journal, on the same ports.
    void restart() {
        end(SIGKILL);
        start();
    }

    // Calls below /dev of one provider; its answer must be 200.
    std::string dev(std::size_t provider, const std::string& what, const std::string& body = {}) {
        net::ClientRequest request;
        request.url = url(provider) + "/dev/" + what;
        if (!body.empty()) {
            request.method = "POST";
            request.headers.add("Content-Type", "application/json");
            request.body = body;
        }
        const auto response = client_.send(request);
        REQUIRE(response);
        INFO(response->body);
        REQUIRE(response->status == 200);
        return response->body;
    }
    void faucet(const std::string& address, std::int64_t amount, const std::string& comment) {
        dev(0, "faucet",
            R"({"address":")" + address + R"(","amount":")" + std::to_string(amount) +
                R"(","comment":")" + comment + R"("})");
    }
    // `rules` as the README of the development chain has them.
    void faults(std::size_t provider, const std::string& rules, std::uint32_t seed = 1) {
        dev(provider, "faults",
            R"({"rules":[)" + rules + R"(],"seed":)" + std::to_string(seed) + "}");
    }
    void halt(bool halted) {
        dev(0, "halt", std::string{R"({"halted":)"} + (halted ? "true}" : "false}"));
    }
    std::int64_t balance(const std::string& address) {
        net::ClientRequest request;
        request.url = url(0) + "/api/v2/getAddressBalance?address=" + address;
        const auto response = client_.send(request);
        REQUIRE(response);
        const std::string mark = R"("result":")";
        const std::size_t at = response->body.find(mark);
        INFO(response->body);
        REQUIRE(at != std::string::npos);
        return std::stoll(response->body.substr(at + mark.size()));
    }

private:
    void start() {
        std::string ports;
        for (const int port : ports_) ports += (ports.empty() ? "" : ",") + std::to_string(port);
        const std::string program = COCOON_SOURCE_DIR "/settlement/devchain/server.mjs";
        const std::string interval = std::to_string(block_milliseconds_);
        int pipe[2];
        REQUIRE(::pipe2(pipe, O_CLOEXEC) == 0);
        pid_ = ::fork();
        if (pid_ == 0) {
            ::dup2(pipe[1], STDOUT_FILENO);
            ::execlp("node", "node", program.c_str(), "--ports", ports.c_str(), "--journal",
                     journal_.c_str(), "--block-ms", interval.c_str(), nullptr);
            ::_exit(127);
        }
        ::close(pipe[1]);
        output_ = ::fdopen(pipe[0], "r");
        char line[256];
        REQUIRE(std::fgets(line, sizeof line, output_) != nullptr);
        std::string text{line};
        text = text.substr(text.find("ports ") + 6);
        for (int& port : ports_) {
            port = std::stoi(text);
            text = text.substr(std::min(text.find(',') + 1, text.size()));
        }
    }
    void end(int signal) {
        ::kill(pid_, signal);
        ::waitpid(pid_, nullptr, 0);
        std::fclose(output_);
    }

    const int block_milliseconds_;
    const std::filesystem::path journal_;
    std::vector<int> ports_;
    pid_t pid_ = -1;
    std::FILE* output_ = nullptr;
    net::HttpClient client_;
};

}  // namespace cocoon::test
