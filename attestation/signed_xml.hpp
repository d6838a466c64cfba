// A signed XML document, read strictly: one enveloped signature (XML Signature, W3C 2008) in
// exactly the shape that NVIDIA's reference manifests have, over the whole document but the
// Signature element itself. Any other shape is refused before a signature is looked at, so that
// what is verified and what is read are the same (signature wrapping). No document type, no
// entities, no comments, no network. Called by nvidia_manifest.cpp; an object is one thread's. Must
// not know what the document says or whom to trust. libxml2 and libxmlsec1 stay in the .cpp.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "attestation/certificate.hpp"
#include "core/encoding.hpp"
#include "core/result.hpp"

struct _xmlDoc;

namespace cocoon::attestation {

constexpr std::size_t signed_xml_bytes_max = 128 << 10;

struct XmlAttribute {
    std::string space;  // namespace, empty for none
    std::string name;
    std::string value;
};

struct XmlElement {
    std::string space;  // namespace
    std::string name;
    std::vector<XmlAttribute> attributes;  // namespace declarations are none
    std::vector<XmlElement> children;
    std::string text;  // of an element without children

    bool is(std::string_view wanted_space, std::string_view wanted_name) const {
        return space == wanted_space && name == wanted_name;
    }
    // The attribute's value, or nullptr.
    const std::string* attribute(std::string_view name, std::string_view space = {}) const;
};

class SignedXml {
public:
    // The document; `malformed_request` for anything but the shape described above: exclusive child
    // elements in order, canonical XML 1.1, ECDSA with SHA-384, one reference with an empty URI,
    // and the signers' certificates in KeyInfo.
    static Result<SignedXml> parse(ByteView document);

    // What the signature is over: the root element without its Signature.
    const XmlElement& root() const { return root_; }
    // The certificates in KeyInfo, in their order. Nothing is known of them yet.
    const std::vector<Certificate>& certificates() const { return certificates_; }

    enum class Fault { none, digest, signature };
    // Whether the document's digest is the signed one and the signature is this certificate's
    // key's.
    Fault check(const Certificate& signer) const;

private:
    SignedXml() = default;
    std::shared_ptr<_xmlDoc> document_;
    XmlElement root_;
    std::vector<Certificate> certificates_;
};

}  // namespace cocoon::attestation
