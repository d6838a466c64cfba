#include "node/nvml.hpp"

#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace cocoon::node {
namespace {

// ---- The interface, as NVML's API reference and nvml.h of release 550 and later have it ---------

using Return = int;  // nvmlReturn_t: 0 is success
using Device = void*;

constexpr unsigned environment_production = 2;  // NVML_CC_SYSTEM_ENVIRONMENT_PROD
constexpr unsigned multi_gpu_protected_pcie = 1;

struct SystemSettings {  // nvmlSystemConfComputeSettings_v1_t
    unsigned version = sizeof(SystemSettings) | 1u << 24;
    unsigned environment = 0;
    unsigned feature = 0;
    unsigned developer_tools = 0;
    unsigned multi_gpu_mode = 0;
};
struct SystemState {  // nvmlConfComputeSystemState_t: drivers without the settings
    unsigned environment = 0;
    unsigned feature = 0;
    unsigned developer_tools = 0;
};
struct DeviceCertificate {  // nvmlConfComputeGpuCertificate_t
    unsigned chain_size = 0;
    unsigned attestation_chain_size = 0;
    std::array<unsigned char, 0x1000> chain{};
    std::array<unsigned char, 0x1400> attestation_chain{};  // PEM, leaf first
};
struct DeviceReport {  // nvmlConfComputeGpuAttestationReport_t
    unsigned has_cec_report = 0;
    unsigned size = 0;
    unsigned cec_size = 0;
    attestation::NvidiaNonce nonce{};  // in
    std::array<unsigned char, 0x2000> report{};
    std::array<unsigned char, 0x1000> cec_report{};
};
static_assert(sizeof(SystemSettings) == 20 && sizeof(SystemState) == 12);
static_assert(sizeof(DeviceCertificate) == 8 + 0x1000 + 0x1400);
static_assert(sizeof(DeviceReport) == 12 + 32 + 0x2000 + 0x1000);

constexpr unsigned text_bytes = 128;

// What an answer holds, up to its NUL.
std::string text_of(const std::array<char, text_bytes>& buffer) {
    return {buffer.begin(), std::find(buffer.begin(), buffer.end(), '\0')};
}

}  // namespace

struct Nvml::Library {
    void* handle = nullptr;
    bool started = false;
    Return (*init)() = nullptr;
    Return (*shutdown)() = nullptr;
    const char* (*error_text)(Return) = nullptr;
    Return (*driver_version)(char*, unsigned) = nullptr;
    Return (*device_count)(unsigned*) = nullptr;
    Return (*device_handle)(unsigned, Device*) = nullptr;
    Return (*device_name)(Device, char*, unsigned) = nullptr;
    Return (*device_vbios)(Device, char*, unsigned) = nullptr;
    Return (*system_state)(SystemState*) = nullptr;
    Return (*system_settings)(SystemSettings*) = nullptr;  // may be missing
    Return (*ready_state)(unsigned*) = nullptr;
    Return (*device_certificate)(Device, DeviceCertificate*) = nullptr;
    Return (*device_report)(Device, DeviceReport*) = nullptr;

    ~Library() {
        if (started) shutdown();
        if (handle != nullptr) ::dlclose(handle);
    }
    template <class Function>
    bool find(const char* name, Function*& into) {
        into = reinterpret_cast<Function*>(::dlsym(handle, name));
        return into != nullptr;
    }
    bool find_all() {
        find("nvmlSystemGetConfComputeSettings", system_settings);
        return find("nvmlInit_v2", init) && find("nvmlShutdown", shutdown) &&
               find("nvmlErrorString", error_text) &&
               find("nvmlSystemGetDriverVersion", driver_version) &&
               find("nvmlDeviceGetCount_v2", device_count) &&
               find("nvmlDeviceGetHandleByIndex_v2", device_handle) &&
               find("nvmlDeviceGetName", device_name) &&
               find("nvmlDeviceGetVbiosVersion", device_vbios) &&
               find("nvmlSystemGetConfComputeState", system_state) &&
               find("nvmlSystemGetConfComputeGpusReadyState", ready_state) &&
               find("nvmlDeviceGetConfComputeGpuCertificate", device_certificate) &&
               find("nvmlDeviceGetConfComputeGpuAttestationReport", device_report);
    }
};

Nvml::Nvml(std::unique_ptr<Library> library) : library_{std::move(library)} {}
Nvml::~Nvml() = default;

Result<std::unique_ptr<Nvml>> Nvml::open(const std::string& library) {
    auto loaded = std::make_unique<Library>();
    loaded->handle = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (loaded->handle == nullptr) {
        const char* cause = ::dlerror();
        return refuse(ErrorCode::not_found, cause != nullptr ? cause : library);
    }
    if (!loaded->find_all())
        return refuse(ErrorCode::not_found,
                      library + " knows no confidential computing: a driver before R550");
    std::unique_ptr<Nvml> nvml{new Nvml{std::move(loaded)}};
    if (const Return code = nvml->library_->init(); code != 0)
        return nvml->refused("nvmlInit", code);
    nvml->library_->started = true;
    return nvml;
}

Error Nvml::refused(const std::string& what, int code) const {
    const char* words = library_->error_text(code);
    return refuse(ErrorCode::internal_error, what + ": " +
                                                 (words != nullptr ? words : "no reason given") +
                                                 " (NVML " + std::to_string(code) + ")");
}

Result<std::string> Nvml::driver_version() {
    std::array<char, text_bytes> text{};
    if (const Return code = library_->driver_version(text.data(), text_bytes); code != 0)
        return refused("the driver's version", code);
    return text_of(text);
}

Result<GpuMode> Nvml::mode() {
    SystemSettings settings;
    Return code = library_->system_settings ? library_->system_settings(&settings) : -1;
    if (code != 0) {
        SystemState state;
        code = library_->system_state(&state);
        settings.environment = state.environment;
        settings.feature = state.feature;
        settings.developer_tools = state.developer_tools;
        settings.multi_gpu_mode = 0;
    }
    if (code != 0) return refused("the confidential computing mode", code);
    unsigned ready = 0;
    if (code = library_->ready_state(&ready); code != 0) return refused("the ready state", code);
    return GpuMode{settings.feature != 0, settings.environment == environment_production,
                   settings.developer_tools != 0,
                   settings.multi_gpu_mode == multi_gpu_protected_pcie, ready != 0};
}

Result<std::vector<void*>> Nvml::handles() {
    unsigned count = 0;
    if (const Return code = library_->device_count(&count); code != 0)
        return refused("the number of GPUs", code);
    if (count > attestation::nvidia_devices_max)
        return refuse(ErrorCode::internal_error,
                      std::to_string(count) + " GPUs are more than one bundle holds");
    std::vector<void*> out(count);
    for (unsigned i = 0; i < count; ++i)
        if (const Return code = library_->device_handle(i, &out[i]); code != 0)
            return refused("GPU " + std::to_string(i), code);
    return out;
}

Result<std::vector<GpuDevice>> Nvml::devices() {
    const auto found = handles();
    if (!found) return found.error();
    std::vector<GpuDevice> out;
    for (void* device : *found) {
        std::array<char, text_bytes> name{}, vbios{};
        if (const Return code = library_->device_name(device, name.data(), text_bytes); code != 0)
            return refused("a GPU's name", code);
        if (const Return code = library_->device_vbios(device, vbios.data(), text_bytes); code != 0)
            return refused("a GPU's VBIOS version", code);
        out.push_back({text_of(name), text_of(vbios)});
    }
    return out;
}

Result<attestation::NvidiaEvidence> Nvml::evidence_of(void* device,
                                                      const attestation::NvidiaNonce& nonce) {
    DeviceReport report;
    report.nonce = nonce;
    if (const Return code = library_->device_report(device, &report); code != 0)
        return refused("a GPU's attestation report", code);
    DeviceCertificate certificate;
    if (const Return code = library_->device_certificate(device, &certificate); code != 0)
        return refused("a GPU's certificates", code);
    if (report.size > report.report.size() ||
        certificate.attestation_chain_size > certificate.attestation_chain.size())
        return refuse(ErrorCode::internal_error, "NVML names more bytes than it can hold");
    attestation::NvidiaEvidence out;
    out.report.assign(report.report.begin(), report.report.begin() + report.size);
    out.certificates.assign(
        certificate.attestation_chain.begin(),
        certificate.attestation_chain.begin() + certificate.attestation_chain_size);
    while (out.certificates.ends_with('\0')) out.certificates.pop_back();
    return out;
}

Result<std::vector<attestation::NvidiaEvidence>> Nvml::evidence(
    const attestation::NvidiaNonce& nonce) {
    const auto found = handles();
    if (!found) return found.error();
    std::vector<attestation::NvidiaEvidence> out;
    for (void* device : *found) {
        auto one = evidence_of(device, nonce);
        if (!one) return one.error();
        out.push_back(*std::move(one));
    }
    return out;
}

}  // namespace cocoon::node
