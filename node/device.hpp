// An open file or socket that closes itself, and ioctl(2) as something that a test can stand in
// for. Called by files.cpp and the collectors.
#pragma once

#include <sys/ioctl.h>
#include <unistd.h>

#include <functional>

namespace cocoon::node {

class Descriptor {
public:
    explicit Descriptor(int number) : number_{number} {}
    ~Descriptor() {
        if (number_ >= 0) ::close(number_);
    }
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    int number() const { return number_; }
    bool open() const { return number_ >= 0; }

private:
    int number_;
};

// As ioctl(2): errno says why it is not 0.
using DeviceCall = std::function<int(int file, unsigned long request, void* argument)>;
inline int call_kernel(int file, unsigned long request, void* argument) {
    return ::ioctl(file, request, argument);
}

}  // namespace cocoon::node
