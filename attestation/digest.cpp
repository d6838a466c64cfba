#include "attestation/digest.hpp"

#include <openssl/evp.h>

#include <stdexcept>

namespace cocoon::attestation {
namespace {

template <class Digest>
Digest hash(ByteView bytes, const EVP_MD* algorithm) {
    Digest out{};
    if (EVP_Digest(bytes.data(), bytes.size(), out.data(), nullptr, algorithm, nullptr) != 1)
        throw std::runtime_error{"OpenSSL failed: digest"};
    return out;
}

}  // namespace

Digest256 sha256(ByteView bytes) { return hash<Digest256>(bytes, EVP_sha256()); }
Digest384 sha384(ByteView bytes) { return hash<Digest384>(bytes, EVP_sha384()); }

}  // namespace cocoon::attestation
