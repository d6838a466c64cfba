// A machine behind the fake libnvidia-ml.so.1 (fake_nvml.cpp): what its driver says and what its
// GPUs answer. A test fills it in and hands it to the library by `fake_nvml_use`.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace cocoon::node::test {

struct FakeGpu {
    std::string name = "NVIDIA H100 80GB HBM3";
    std::string vbios_version = "96.00.A5.00.01";
    std::function<std::vector<std::uint8_t>(const std::array<std::uint8_t, 32>& nonce)> report;
    std::string certificates;  // PEM, leaf first
};

struct FakeMachine {
    std::string driver_version = "570.86.10";
    unsigned environment = 2, feature = 1, developer_tools = 0, multi_gpu_mode = 0, ready = 1;
    std::vector<FakeGpu> gpus;
    std::map<std::string, int> refuses;  // function -> NVML's return code
    int starts = 0, ends = 0;            // counted by the library
};

using UseFakeNvml = void (*)(FakeMachine*);  // "fake_nvml_use"

}  // namespace cocoon::node::test
