// Private to sealing/: OpenSSL failing at its own work is a broken machine, so it throws.
// Algorithms are fetched once per process, because OpenSSL 3.0's implicit fetch costs more than a
// small message.
#pragma once

#include <openssl/evp.h>

#include <stdexcept>
#include <string>

namespace cocoon::sealing {

inline void openssl_check(bool succeeded, const char* what) {
    if (!succeeded) throw std::runtime_error{std::string{"OpenSSL failed: "} + what};
}

// The process-wide SHA-256.
const EVP_MD* sha256_algorithm();

}  // namespace cocoon::sealing
