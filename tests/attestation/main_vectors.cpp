// attestation_vectors DIR: runs every case under DIR/tdx, DIR/snp, DIR/nvidia, DIR/binding and
// DIR/rtmr against this build's verifiers and closes with "N passed, N failed". Exit status: 0 all
// passed, 1 otherwise. Keys that a case has and we do not know are ignored.
#include <cstdio>
#include <fstream>
#include <iterator>

#include "tests/attestation/vectors.hpp"

namespace cocoon::attestation::vectors {

void Tally::run(const std::string& name, const std::function<void()>& check) {
    try {
        check();
        ++passed_;
    } catch (const CaseFailed& failure) {
        fail(name, failure.why);
    } catch (const std::exception& failure) {
        fail(name, std::string{"exception: "} + failure.what());
    }
}

void Tally::fail(const std::string& name, const std::string& why) {
    ++failed_;
    std::printf("FAILED %s: %s\n", name.c_str(), why.c_str());
}

std::string read_text(const std::filesystem::path& path) {
    std::ifstream file{path, std::ios::binary};
    expect(file.good(), "cannot read " + path.string());
    return std::string{std::istreambuf_iterator<char>{file}, {}};
}

Bytes read_file(const std::filesystem::path& path) {
    const std::string text = read_text(path);
    return Bytes{text.begin(), text.end()};
}

Json read_json(const std::filesystem::path& path) {
    Json document = Json::parse(read_text(path), nullptr, false);
    expect(!document.is_discarded(), path.string() + " is not JSON");
    return document;
}

Bytes hex_bytes(const Json& text) {
    expect(text.is_string(), "there is no hex text");
    auto bytes = from_hex(text.get<std::string>());
    expect(bytes.has_value(), "not hex: " + text.get<std::string>().substr(0, 40));
    return std::move(*bytes);
}

Instant instant_of(const Json& unix_seconds) {
    expect(unix_seconds.is_number_integer(), "there is no time");
    return Instant{} + seconds(unix_seconds.get<std::int64_t>());
}

std::vector<Json> read_cases(const std::filesystem::path& folder, Tally& tally) {
    try {
        const Json cases = read_json(folder / "cases.json");
        expect(cases.is_array(), "cases.json is not an array");
        return {cases.begin(), cases.end()};
    } catch (const CaseFailed& failure) {
        tally.fail(folder.filename().string(), failure.why);
        return {};
    }
}

}  // namespace cocoon::attestation::vectors

int main(int count, char** arguments) {
    using namespace cocoon::attestation::vectors;
    if (count != 2) {
        std::fprintf(stderr,
                     "usage: attestation_vectors DIR\n"
                     "DIR holds any of tdx/ snp/ nvidia/ binding/ rtmr/\n");
        return 1;
    }
    struct Kind {
        const char* name;
        void (*run)(const std::filesystem::path&, Tally&);
    };
    constexpr Kind kinds[] = {{"tdx", run_tdx},
                              {"snp", run_snp},
                              {"nvidia", run_nvidia},
                              {"binding", run_binding},
                              {"rtmr", run_rtmr}};
    Tally tally;
    for (const Kind& kind : kinds) {
        const auto folder = std::filesystem::path{arguments[1]} / kind.name;
        if (!std::filesystem::is_directory(folder)) {
            std::printf("note: no %s here\n", folder.string().c_str());
            continue;
        }
        const int passed = tally.passed();
        const int failed = tally.failed();
        try {
            kind.run(folder, tally);
        } catch (const std::exception& failure) {  // a case that is not even an object
            tally.fail(kind.name, std::string{"the cases cannot be read: "} + failure.what());
        }
        std::printf("%s: %d passed, %d failed\n", kind.name, tally.passed() - passed,
                    tally.failed() - failed);
    }
    std::printf("%d passed, %d failed\n", tally.passed(), tally.failed());
    return tally.failed() == 0 && tally.passed() > 0 ? 0 : 1;
}
