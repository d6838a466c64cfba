// A directory tree that behaves as configfs-tsm is documented: a new directory has its attributes
// at once, inblob takes 64 bytes when it is closed and raises the generation, outblob answers it.
// The product's own file access works on it; this does what the kernel does in between.
#pragma once

#include <filesystem>
#include <fstream>
#include <functional>

#include "node/tsm.hpp"
#include "tests/node/helpers.hpp"

namespace cocoon::node::test {

class FakeKernel final : public TsmFiles {
public:
    std::string provider = "tdx_guest";
    std::function<Bytes(const attestation::ReportData&)> answer;     // empty bytes: outblob fails
    std::function<Bytes(const attestation::ReportData&)> auxiliary;  // not set: no such attribute
    int strangers_writes = 0;  // between our question and our reading

    std::string directory() const { return root_.path(); }
    int open_directories() const {
        const std::filesystem::directory_iterator all{directory()};
        return static_cast<int>(std::distance(all, {}));
    }

    Result<void> make_directory(const std::string& path) override {
        if (auto made = TsmFiles::make_directory(path); !made) return made;
        generation_ = 0;
        put(path + "/provider", provider + "\n");
        put(path + "/generation", "0\n");
        put(path + "/inblob", "");
        return {};
    }
    void remove_directory(const std::string& path) override {
        // rmdir(2) of configfs takes the attributes along.
        for (const auto& entry : std::filesystem::directory_iterator{path})
            std::filesystem::remove_all(entry.path());
        TsmFiles::remove_directory(path);
    }
    Result<void> write(const std::string& path, ByteView bytes) override {
        if (auto written = TsmFiles::write(path, bytes); !written) return written;
        generation_ += 1 + strangers_writes;
        const std::string directory = path.substr(0, path.rfind('/'));
        put(directory + "/generation", std::to_string(generation_) + "\n");
        attestation::ReportData asked{};
        std::ifstream{path}.read(reinterpret_cast<char*>(asked.data()), asked.size());
        const Bytes report = answer(asked);
        if (report.empty())
            std::filesystem::create_directory(directory + "/outblob");  // cannot be read
        else
            put(directory + "/outblob", as_text(report));
        if (auxiliary) put(directory + "/auxblob", as_text(auxiliary(asked)));
        return {};
    }

private:
    static void put(const std::string& path, std::string_view content) {
        std::ofstream{path, std::ios::binary} << content;
    }
    ScratchDirectory root_;
    int generation_ = 0;
};

}  // namespace cocoon::node::test
