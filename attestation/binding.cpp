#include "attestation/binding.hpp"

#include <string_view>

namespace cocoon::attestation {

Digest256 gpu_nonce(const ReportData& report_data) {
    constexpr std::string_view purpose = "cocoon-market/gpu-nonce/v1";
    Bytes message{purpose.begin(), purpose.end()};
    message.push_back(0);
    message.insert(message.end(), report_data.begin(), report_data.end());
    return sha256(message);
}

}  // namespace cocoon::attestation
