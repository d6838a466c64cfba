#include "node/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "node/device.hpp"

namespace cocoon::node {
namespace {

Error broken(const std::string& what, const std::string& path) {
    return refuse(ErrorCode::internal_error, what + " " + path + ": " + std::strerror(errno));
}

std::string directory_of(const std::string& path) {
    const auto slash = path.rfind('/');
    return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

Result<void> sync_directory(const std::string& path) {
    const Descriptor directory{
        ::open(directory_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
    if (!directory.open() || ::fsync(directory.number()) != 0)
        return broken("cannot sync the directory of", path);
    return {};
}

}  // namespace

Result<void> make_private_directory(const std::string& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) {
        std::error_code failure;
        std::filesystem::create_directories(directory_of(path), failure);
        if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST)
            return broken("cannot make the directory", path);
        return {};
    }
    if (!S_ISDIR(status.st_mode)) return refuse(ErrorCode::forbidden, path + " is not a directory");
    if ((status.st_mode & 0077) != 0)
        return refuse(ErrorCode::forbidden,
                      "others may enter " + path + "; run: chmod 700 " + path);
    return {};
}

Result<void> replace_file(const std::string& path, std::string_view content, bool durable) {
    static std::atomic<unsigned> serial{0};
    const std::string beside =
        path + "." + std::to_string(::getpid()) + "." + std::to_string(++serial) + ".new";
    {
        const Descriptor file{
            ::open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
        if (!file.open()) return broken("cannot create", beside);
        while (!content.empty()) {
            const auto written = ::write(file.number(), content.data(), content.size());
            if (written < 0 && errno == EINTR) continue;
            if (written <= 0) {
                const Error error = broken("cannot write", beside);
                ::unlink(beside.c_str());
                return error;
            }
            content.remove_prefix(static_cast<std::size_t>(written));
        }
        if (durable && ::fsync(file.number()) != 0) {
            const Error error = broken("cannot sync", beside);
            ::unlink(beside.c_str());
            return error;
        }
    }
    if (::rename(beside.c_str(), path.c_str()) != 0) return broken("cannot rename to", path);
    return durable ? sync_directory(path) : Result<void>{};
}

Result<void> make_durable(const std::string& path) {
    const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!file.open()) return refuse(ErrorCode::not_found, path + " is gone");
    if (::fsync(file.number()) != 0) return broken("cannot sync", path);
    return sync_directory(path);
}

Result<std::string> read_file(const std::string& path, std::size_t bytes_max, bool private_only) {
    const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    struct stat status {};
    if (!file.open() || ::fstat(file.number(), &status) != 0) {
        if (errno == EACCES) return refuse(ErrorCode::forbidden, "may not read " + path);
        return refuse(ErrorCode::not_found, "cannot read " + path + ": " + std::strerror(errno));
    }
    if (private_only && (status.st_mode & 0077) != 0)
        return refuse(ErrorCode::forbidden, "others may read " + path + "; run: chmod 600 " + path);
    std::string content;
    char buffer[16 << 10];
    for (;;) {
        const auto count = ::read(file.number(), buffer, sizeof buffer);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return broken("cannot read", path);
        if (count == 0) return content;
        content.append(buffer, static_cast<std::size_t>(count));
        if (content.size() > bytes_max)
            return refuse(ErrorCode::body_too_large, path + " is too large");
    }
}

bool remove_file(const std::string& path) { return ::unlink(path.c_str()) == 0; }

}  // namespace cocoon::node
