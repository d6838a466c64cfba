// Stands in for libnvidia-ml.so.1: the functions that confidential computing needs, with the
// layouts, return codes and rules of NVML's API reference. Written apart from node/nvml.cpp, so
// that each checks the other's reading of the documentation.
#include "tests/node/fake_nvml.hpp"

#include <cstring>

namespace {

using cocoon::node::test::FakeGpu;
using cocoon::node::test::FakeMachine;

enum Return : int {
    success = 0,
    uninitialized = 1,
    invalid_argument = 2,
    not_supported = 3,
    not_found = 6,
    insufficient_size = 7,
    driver_not_loaded = 9,
    argument_version_mismatch = 25,
};

FakeMachine* machine = nullptr;

// What the machine was told to refuse, or that nobody has started the library.
int trouble(const char* function) {
    if (machine == nullptr) return driver_not_loaded;
    if (const auto found = machine->refuses.find(function); found != machine->refuses.end())
        return found->second;
    return machine->starts > machine->ends ? success : uninitialized;
}

int put(const std::string& text, char* into, unsigned size) {
    if (into == nullptr) return invalid_argument;
    if (text.size() + 1 > size) return insufficient_size;
    std::memcpy(into, text.c_str(), text.size() + 1);
    return success;
}

const FakeGpu* gpu_of(void* device) {
    for (const FakeGpu& gpu : machine->gpus)
        if (&gpu == device) return &gpu;
    return nullptr;
}

struct State {
    unsigned int environment, feature, tools;
};
struct Settings {
    unsigned int version, environment, feature, tools, multi_gpu;
};
struct Certificate {
    unsigned int size, attestation_size;
    unsigned char chain[4096], attestation_chain[5120];
};
struct Report {
    unsigned int has_cec, size, cec_size;
    unsigned char nonce[32], report[8192], cec_report[4096];
};

}  // namespace

extern "C" {

void fake_nvml_use(FakeMachine* given) { machine = given; }

int nvmlInit_v2() {
    if (machine == nullptr) return driver_not_loaded;
    ++machine->starts;
    if (const int code = trouble("nvmlInit_v2")) {
        --machine->starts;
        return code;
    }
    return success;
}
int nvmlShutdown() {
    if (const int code = trouble("nvmlShutdown")) return code;
    ++machine->ends;
    return success;
}
const char* nvmlErrorString(int code) {
    switch (code) {
        case success: return "Success";
        case uninitialized: return "Uninitialized";
        case invalid_argument: return "Invalid Argument";
        case not_supported: return "Not Supported";
        case not_found: return "Not Found";
        case insufficient_size: return "Insufficient Size";
        case driver_not_loaded: return "Driver Not Loaded";
        case argument_version_mismatch: return "Argument Version Mismatch";
        default: return "Unknown Error";
    }
}
int nvmlSystemGetDriverVersion(char* version, unsigned int length) {
    if (const int code = trouble("nvmlSystemGetDriverVersion")) return code;
    return put(machine->driver_version, version, length);
}
int nvmlDeviceGetCount_v2(unsigned int* count) {
    if (const int code = trouble("nvmlDeviceGetCount_v2")) return code;
    *count = static_cast<unsigned int>(machine->gpus.size());
    return success;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned int index, void** device) {
    if (const int code = trouble("nvmlDeviceGetHandleByIndex_v2")) return code;
    if (index >= machine->gpus.size()) return invalid_argument;
    *device = &machine->gpus[index];
    return success;
}
int nvmlDeviceGetName(void* device, char* name, unsigned int length) {
    if (const int code = trouble("nvmlDeviceGetName")) return code;
    const FakeGpu* gpu = gpu_of(device);
    return gpu ? put(gpu->name, name, length) : invalid_argument;
}
int nvmlDeviceGetVbiosVersion(void* device, char* version, unsigned int length) {
    if (const int code = trouble("nvmlDeviceGetVbiosVersion")) return code;
    const FakeGpu* gpu = gpu_of(device);
    return gpu ? put(gpu->vbios_version, version, length) : invalid_argument;
}
int nvmlSystemGetConfComputeState(State* state) {
    if (const int code = trouble("nvmlSystemGetConfComputeState")) return code;
    *state = {machine->environment, machine->feature, machine->developer_tools};
    return success;
}
int nvmlSystemGetConfComputeSettings(Settings* settings) {
    if (const int code = trouble("nvmlSystemGetConfComputeSettings")) return code;
    if (settings->version != (sizeof(Settings) | 1u << 24)) return argument_version_mismatch;
    *settings = {settings->version, machine->environment, machine->feature,
                 machine->developer_tools, machine->multi_gpu_mode};
    return success;
}
int nvmlSystemGetConfComputeGpusReadyState(unsigned int* ready) {
    if (const int code = trouble("nvmlSystemGetConfComputeGpusReadyState")) return code;
    *ready = machine->ready;
    return success;
}
int nvmlDeviceGetConfComputeGpuCertificate(void* device, Certificate* into) {
    if (const int code = trouble("nvmlDeviceGetConfComputeGpuCertificate")) return code;
    const FakeGpu* gpu = gpu_of(device);
    if (gpu == nullptr) return invalid_argument;
    if (machine->feature == 0) return not_supported;
    const std::string& pem = gpu->certificates;
    if (pem.size() > sizeof into->attestation_chain) return insufficient_size;
    into->attestation_size = static_cast<unsigned int>(pem.size());
    std::memcpy(into->attestation_chain, pem.data(), pem.size());
    return success;
}
int nvmlDeviceGetConfComputeGpuAttestationReport(void* device, Report* into) {
    if (const int code = trouble("nvmlDeviceGetConfComputeGpuAttestationReport")) return code;
    const FakeGpu* gpu = gpu_of(device);
    if (gpu == nullptr) return invalid_argument;
    if (machine->feature == 0) return not_supported;
    std::array<std::uint8_t, 32> nonce;
    std::memcpy(nonce.data(), into->nonce, sizeof into->nonce);
    const auto report = gpu->report(nonce);
    if (report.size() > sizeof into->report) return insufficient_size;
    into->has_cec = 0;
    into->size = static_cast<unsigned int>(report.size());
    std::memcpy(into->report, report.data(), report.size());
    return success;
}
}
