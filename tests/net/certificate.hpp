// A fresh self-signed certificate for "localhost" and 127.0.0.1, as PEM files that vanish with the
// test.
#pragma once

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <string>

namespace net_test {

class TestCertificate {
public:
    TestCertificate() {
        char pattern[] = "/tmp/cocoon_net_test_XXXXXX";
        if (!mkdtemp(pattern)) throw std::runtime_error{"cannot make a folder"};
        folder_ = pattern;
        certificate_file = (folder_ / "certificate.pem").string();
        key_file = (folder_ / "key.pem").string();
        EVP_PKEY* key = EVP_EC_gen("P-256");
        X509* certificate = X509_new();
        X509_set_version(certificate, 2);
        ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
        X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
        X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
        X509_NAME* name = X509_get_subject_name(certificate);
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                   reinterpret_cast<const unsigned char*>("localhost"), -1, -1, 0);
        X509_set_issuer_name(certificate, name);
        X509_set_pubkey(certificate, key);
        add(certificate, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1");
        add(certificate, NID_basic_constraints, "critical,CA:TRUE");
        X509_sign(certificate, key, EVP_sha256());
        write(certificate_file, [&](FILE* file) { PEM_write_X509(file, certificate); });
        write(key_file, [&](FILE* file) {
            PEM_write_PrivateKey(file, key, nullptr, nullptr, 0, nullptr, nullptr);
        });
        X509_free(certificate);
        EVP_PKEY_free(key);
    }
    ~TestCertificate() { std::filesystem::remove_all(folder_); }

    std::string certificate_file;
    std::string key_file;

private:
    static void add(X509* certificate, int kind, const char* value) {
        X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, kind, value);
        X509_add_ext(certificate, extension, -1);
        X509_EXTENSION_free(extension);
    }
    template <class Write>
    static void write(const std::string& path, const Write& call) {
        FILE* file = std::fopen(path.c_str(), "w");
        if (!file) throw std::runtime_error{"cannot write " + path};
        call(file);
        std::fclose(file);
    }

    std::filesystem::path folder_;
};

}  // namespace net_test
