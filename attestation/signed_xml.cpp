// The only file that includes libxml2 and libxmlsec1. libxml2 reads the document once into
// XmlElement; every rule about its shape is judged on that; libxmlsec1 computes digest and
// signature.
#include "attestation/signed_xml.hpp"

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <libxml/xmlerror.h>
#include <xmlsec/xmlsec.h>
#include <xmlsec/errors.h>
#include <xmlsec/openssl/crypto.h>
#include <xmlsec/openssl/evp.h>
#include <xmlsec/transforms.h>
#include <xmlsec/xmldsig.h>

#include <openssl/err.h>
#include <openssl/x509.h>

#include <algorithm>
#include <cctype>
#include <initializer_list>
#include <optional>
#include <stdexcept>

namespace cocoon::attestation {
namespace {

constexpr std::string_view signature_space = "http://www.w3.org/2000/09/xmldsig#";
constexpr std::string_view canonical_xml = "http://www.w3.org/2006/12/xml-c14n11";
constexpr std::string_view enveloped = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";
constexpr std::string_view ecdsa_sha384 = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384";
constexpr std::string_view sha384_digest = "http://www.w3.org/2001/04/xmldsig-more#sha384";
constexpr std::size_t signature_value_bytes = 96;  // r || s of P-384
constexpr std::size_t digest_value_bytes = 48;
constexpr std::size_t depth_max = 8;
constexpr std::size_t elements_max = 4'096;
constexpr std::size_t attributes_max = 64;  // of one element

Error malformed(std::string why) {
    ERR_clear_error();
    return refuse(ErrorCode::malformed_request, std::move(why));
}

void check_works(bool works, const char* what) {
    if (!works) throw std::runtime_error{std::string{"libxmlsec1 failed: "} + what};
}

void start_libraries() {
    static const bool started = [] {
        xmlInitParser();
        check_works(xmlSecInit() == 0, "start");
        check_works(xmlSecOpenSSLInit() == 0, "start with OpenSSL");
        xmlSecErrorsDefaultCallbackEnableOutput(0);  // a peer's document writes no log lines
        return true;
    }();
    static_cast<void>(started);
}

// What both libraries would print about a peer's document is dropped; the answer says enough.
class Quiet {
public:
    Quiet() : context_{xmlStructuredErrorContext}, function_{xmlStructuredError} {
        xmlSetStructuredErrorFunc(nullptr, drop);
    }
    ~Quiet() { xmlSetStructuredErrorFunc(context_, function_); }
    Quiet(const Quiet&) = delete;
    Quiet& operator=(const Quiet&) = delete;

private:
    static void drop(void*, xmlErrorPtr) {}
    void* context_;
    xmlStructuredErrorFunc function_;
};

// ---- Reading ------------------------------------------------------------------------------------

// How long the XML declaration at the beginning is, if there is one that says nothing but version
// 1.0 and UTF-8 (XML 1.0, 2.8).
std::size_t declaration_size(std::string_view text) {
    std::string_view rest = text;
    const auto skip = [&](std::string_view expected) {
        if (!rest.starts_with(expected)) return false;
        rest.remove_prefix(expected.size());
        return true;
    };
    const auto attribute = [&](std::string_view name,
                               std::initializer_list<std::string_view> values) {
        for (const std::string_view quote : {"\"", "'"})
            for (const std::string_view value : values)
                if (skip(std::string{name} + "=" + std::string{quote} + std::string{value} +
                         std::string{quote}))
                    return true;
        return false;
    };
    if (!skip("<?xml ") || !attribute("version", {"1.0"})) return 0;
    attribute(" encoding", {"UTF-8", "utf-8"});
    attribute(" standalone", {"yes", "no"});
    skip(" ");
    return skip("?>") ? text.size() - rest.size() : 0;
}

// Only elements, attributes and text are left once these are refused: "<!" opens document types,
// CDATA and comments, "<?" processing instructions, and neither may stand inside a value (XML 1.0,
// 2.4 and 2.3). So nothing declares an entity, and nothing is read that canonical XML drops.
const char* forbidden_markup(std::string_view text) {
    if (!is_utf8(text) || text.find('\0') != std::string_view::npos) return "it is not UTF-8";
    if (text.starts_with("\xEF\xBB\xBF")) return "it begins with a byte order mark";
    text.remove_prefix(declaration_size(text));
    if (text.find("<!") != std::string_view::npos)
        return "it holds a document type, a comment or a CDATA section";
    if (text.find("<?") != std::string_view::npos) return "it holds a processing instruction";
    return nullptr;
}

std::string text_of(const xmlChar* text) {
    return text ? std::string{reinterpret_cast<const char*>(text)} : std::string{};
}

bool is_space(char character) {
    return character == ' ' || character == '\n' || character == '\r' || character == '\t';
}

// Copies libxml2's tree; remembers the first thing that is refused.
class Copier {
public:
    XmlElement copy(const xmlNode* node, std::size_t depth) {
        XmlElement out;
        if (depth > depth_max || ++elements_ > elements_max) refused("it has too many elements");
        if (fault_) return out;
        out.space = node->ns ? text_of(node->ns->href) : std::string{};
        out.name = text_of(node->name);
        copy_attributes(node, out);
        for (const xmlNode* child = node->children; child && !fault_; child = child->next) {
            if (child->type == XML_ELEMENT_NODE)
                out.children.push_back(copy(child, depth + 1));
            else if (child->type == XML_TEXT_NODE)
                out.text += text_of(child->content);
            else
                refused("it holds something else than elements and text");
        }
        if (out.children.empty()) return out;
        if (!std::all_of(out.text.begin(), out.text.end(), is_space))
            refused("text stands between elements");
        out.text.clear();
        return out;
    }
    const char* fault() const { return fault_; }

private:
    void copy_attributes(const xmlNode* node, XmlElement& out) {
        for (const xmlAttr* at = node->properties; at && !fault_; at = at->next) {
            if (out.attributes.size() == attributes_max)
                return refused("it has too many attributes");
            std::string value;
            for (const xmlNode* part = at->children; part; part = part->next) {
                if (part->type != XML_TEXT_NODE) return refused("an attribute refers to an entity");
                value += text_of(part->content);
            }
            out.attributes.push_back({at->ns ? text_of(at->ns->href) : std::string{},
                                      text_of(at->name), std::move(value)});
        }
    }
    void refused(const char* why) {
        if (!fault_) fault_ = why;
    }

    std::size_t elements_ = 0;
    const char* fault_ = nullptr;
};

// ---- The signature's shape ----------------------------------------------------------------------

std::optional<Bytes> base64_of(std::string text) {
    std::erase_if(text, is_space);
    return from_base64(text);
}

// `element` is name with exactly these children, all of the signature's namespace, no attributes.
bool holds(const XmlElement& element, std::string_view name,
           std::initializer_list<std::string_view> children) {
    return element.is(signature_space, name) && element.attributes.empty() &&
           std::equal(element.children.begin(), element.children.end(), children.begin(),
                      children.end(), [](const XmlElement& child, std::string_view wanted) {
                          return child.is(signature_space, wanted);
                      });
}

// `element` is an empty element that names this algorithm and nothing else.
bool is_algorithm(const XmlElement& element, std::string_view uri) {
    const std::string* found = element.attribute("Algorithm");
    return found && *found == uri && element.attributes.size() == 1 && element.children.empty() &&
           std::all_of(element.text.begin(), element.text.end(), is_space);
}

bool is_value(const XmlElement& element, std::size_t size) {
    const auto bytes = base64_of(element.text);
    return element.attributes.empty() && element.children.empty() && bytes && bytes->size() == size;
}

bool reference_as_expected(const XmlElement& reference) {
    const std::string* uri = reference.attribute("URI");
    if (!uri || !uri->empty() || reference.attributes.size() != 1) return false;
    if (reference.children.size() != 3) return false;
    const XmlElement& transforms = reference.children[0];
    return holds(transforms, "Transforms", {"Transform", "Transform"}) &&
           is_algorithm(transforms.children[0], enveloped) &&
           is_algorithm(transforms.children[1], canonical_xml) &&
           reference.children[1].is(signature_space, "DigestMethod") &&
           is_algorithm(reference.children[1], sha384_digest) &&
           reference.children[2].is(signature_space, "DigestValue") &&
           is_value(reference.children[2], digest_value_bytes);
}

bool signature_as_expected(const XmlElement& signature) {
    if (!holds(signature, "Signature", {"SignedInfo", "SignatureValue", "KeyInfo"})) return false;
    const XmlElement& info = signature.children[0];
    return holds(info, "SignedInfo", {"CanonicalizationMethod", "SignatureMethod", "Reference"}) &&
           is_algorithm(info.children[0], canonical_xml) &&
           is_algorithm(info.children[1], ecdsa_sha384) &&
           reference_as_expected(info.children[2]) &&
           is_value(signature.children[1], signature_value_bytes) &&
           holds(signature.children[2], "KeyInfo", {"X509Data"});
}

std::size_t count_of_space(const XmlElement& element, std::string_view space) {
    std::size_t count = element.space == space ? 1 : 0;
    for (const XmlElement& child : element.children) count += count_of_space(child, space);
    return count;
}

Result<std::vector<Certificate>> certificates_of(const XmlElement& data) {
    if (!data.attributes.empty() || data.children.empty() ||
        data.children.size() > certificates_max)
        return malformed("the signature carries no certificates, or too many");
    std::vector<Certificate> out;
    for (const XmlElement& child : data.children) {
        if (!child.is(signature_space, "X509Certificate") || !child.attributes.empty() ||
            !child.children.empty())
            return malformed("the signature's key information holds more than certificates");
        const auto der = base64_of(child.text);
        auto certificate = der ? Certificate::from_der(*der) : malformed("not base64");
        if (!certificate) return malformed("a certificate in the signature cannot be read");
        out.push_back(std::move(*certificate));
    }
    return out;
}

// ---- Verification -------------------------------------------------------------------------------

template <auto function>
struct Free {
    template <class T>
    void operator()(T* object) const noexcept {
        function(object);
    }
};
template <class T, auto function>
using Owned = std::unique_ptr<T, Free<function>>;

// The certificate's key as libxmlsec1 wants it.
Owned<xmlSecKey, xmlSecKeyDestroy> key_of(const Certificate& certificate) {
    const unsigned char* at = certificate.der().data();
    const Owned<X509, X509_free> x509{
        d2i_X509(nullptr, &at, static_cast<long>(certificate.der().size()))};
    Owned<EVP_PKEY, EVP_PKEY_free> public_key{x509 ? X509_get_pubkey(x509.get()) : nullptr};
    if (!public_key || EVP_PKEY_get_base_id(public_key.get()) != EVP_PKEY_EC) return nullptr;
    Owned<xmlSecKeyData, xmlSecKeyDataDestroy> data{xmlSecOpenSSLEvpKeyAdopt(public_key.get())};
    check_works(data != nullptr, "key");
    static_cast<void>(public_key.release());
    Owned<xmlSecKey, xmlSecKeyDestroy> key{xmlSecKeyCreate()};
    check_works(key && xmlSecKeySetValue(key.get(), data.get()) == 0, "key");
    static_cast<void>(data.release());
    return key;
}

xmlNode* signature_node(xmlDoc* document) {
    xmlNode* found = nullptr;
    for (xmlNode* node = xmlDocGetRootElement(document)->children; node; node = node->next)
        if (node->type == XML_ELEMENT_NODE && node->ns &&
            text_of(node->ns->href) == signature_space)
            found = node;  // parse() saw that there is exactly one
    return found;
}

bool digest_right(xmlSecDSigCtx* context) {
    if (xmlSecPtrListGetSize(&context->signedInfoReferences) != 1) return false;
    const auto* reference = static_cast<const xmlSecDSigReferenceCtx*>(
        xmlSecPtrListGetItem(&context->signedInfoReferences, 0));
    return reference && reference->status == xmlSecDSigStatusSucceeded;
}

}  // namespace

const std::string* XmlElement::attribute(std::string_view wanted, std::string_view in_space) const {
    for (const XmlAttribute& candidate : attributes)
        if (candidate.name == wanted && candidate.space == in_space) return &candidate.value;
    return nullptr;
}

Result<SignedXml> SignedXml::parse(ByteView document) {
    if (document.empty() || document.size() > signed_xml_bytes_max)
        return malformed("the document is empty or over its size limit");
    const std::string_view text = as_text(document);
    if (const char* why = forbidden_markup(text))
        return malformed(std::string{"the document cannot be accepted: "} + why);
    start_libraries();
    const Quiet quiet;
    SignedXml out;
    out.document_ = {xmlReadMemory(text.data(), static_cast<int>(text.size()), nullptr, "UTF-8",
                                   XML_PARSE_NONET | XML_PARSE_NOERROR | XML_PARSE_NOWARNING),
                     xmlFreeDoc};
    xmlNode* root = out.document_ ? xmlDocGetRootElement(out.document_.get()) : nullptr;
    if (!root || out.document_->intSubset || out.document_->extSubset)
        return malformed("the document is not well-formed XML");
    Copier copier;
    out.root_ = copier.copy(root, 1);
    if (copier.fault())
        return malformed(std::string{"the document cannot be accepted: "} + copier.fault());

    auto& children = out.root_.children;
    const auto signature = std::find_if(
        children.begin(), children.end(),
        [](const XmlElement& child) { return child.is(signature_space, "Signature"); });
    if (signature == children.end()) return malformed("the document's root holds no signature");
    if (!signature_as_expected(*signature))
        return malformed("the signature is not of the one shape that is accepted");
    auto certificates = certificates_of(signature->children[2].children[0]);
    if (!certificates) return certificates.error();
    out.certificates_ = std::move(*certificates);
    children.erase(signature);
    if (count_of_space(out.root_, signature_space) != 0)
        return malformed("the document holds parts of another signature");
    return out;
}

SignedXml::Fault SignedXml::check(const Certificate& signer) const {
    const Quiet quiet;
    const Owned<xmlSecDSigCtx, xmlSecDSigCtxDestroy> context{xmlSecDSigCtxCreate(nullptr)};
    check_works(context != nullptr, "context");
    auto key = key_of(signer);
    if (!key) return Fault::signature;
    // parse() has judged the shape already; the library is told the same rules once more.
    context->enabledReferenceUris = xmlSecTransformUriTypeEmpty;
    for (const xmlSecTransformId id :
         {xmlSecTransformEnvelopedId, xmlSecTransformInclC14N11Id, xmlSecOpenSSLTransformSha384Id})
        check_works(xmlSecDSigCtxEnableReferenceTransform(context.get(), id) == 0, "transforms");
    context->signKey = key.release();  // so KeyInfo is not looked at; the context frees it
    const bool ran = xmlSecDSigCtxVerify(context.get(), signature_node(document_.get())) >= 0;
    ERR_clear_error();
    if (ran && context->status == xmlSecDSigStatusSucceeded) return Fault::none;
    return ran && !digest_right(context.get()) ? Fault::digest : Fault::signature;
}

}  // namespace cocoon::attestation
