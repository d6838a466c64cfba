// Signed XML: one shape is accepted, and each way to say something that is not signed is refused.
#include <functional>

#include "tests/attestation/gpu_maker.hpp"
#include "tests/catch.hpp"

using namespace cocoon;
using namespace cocoon::attestation;
using namespace cocoon::attestation::test;

namespace {

const GpuMaker& maker() {
    static const GpuMaker made;
    return made;
}

std::string good_document() {
    static const std::string document{as_text(maker().manifests()[1])};
    return document;
}

std::string with(std::string text, std::string_view old, std::string_view fresh) {
    const std::size_t at = text.find(old);
    if (at == std::string::npos) throw std::runtime_error{"no " + std::string{old} + " here"};
    return text.replace(at, old.size(), fresh);
}

std::string signature_of(const std::string& document) {
    const std::size_t from = document.find("<ds:Signature ");
    const std::string_view end = "</ds:Signature>";
    return document.substr(from, document.find(end) + end.size() - from);
}

SignedXml::Fault fault_of(const std::string& document) {
    const SignedXml read = SignedXml::parse(as_bytes(document)).value();
    return read.check(read.certificates().front());
}

}  // namespace

TEST_CASE("a signed document is read and its signature verified") {
    const SignedXml read = SignedXml::parse(as_bytes(good_document())).value();
    CHECK(read.root().name == "SoftwareIdentity");
    CHECK(read.root().children.size() == 2);  // the signature is no part of what is read
    CHECK(*read.root().children[0].attribute("product") == "GH100");
    CHECK(read.root().children[0].attribute("product", "another:space") == nullptr);
    CHECK(read.certificates().size() == 3);
    CHECK(read.check(read.certificates()[0]) == SignedXml::Fault::none);
    CHECK(read.check(read.certificates()[0]) == SignedXml::Fault::none);  // and again
    CHECK(read.check(read.certificates()[1]) == SignedXml::Fault::signature);
    for (const char* declaration :
         {"<?xml version=\"1.0\"?>", "<?xml version='1.0' encoding='UTF-8'?>\n",
          "<?xml version=\"1.0\" encoding=\"utf-8\" standalone=\"no\" ?>"})
        CHECK(fault_of(declaration + good_document()) == SignedXml::Fault::none);
    CHECK(fault_of(good_document() + "\n") == SignedXml::Fault::none);
}

TEST_CASE("what was signed and what is read are the same, or the digest says so") {
    const std::string good = good_document();
    const struct {
        const char* what;
        std::string document;
    } rows[] = {
        {"a value", with(good, "product=\"GH100\"", "product=\"GH200\"")},
        {"an attribute more", with(good, "<ns0:Meta ", "<ns0:Meta edition=\"GPU\" ")},
        {"an element more", with(good, "<ns0:Payload>", "<ns0:Entity/><ns0:Payload>")},
        {"an element less", with(good, "<ns0:Payload>\n", "<ns0:Payload>")},
        {"a namespace", with(good, "xmlenc#sha384\"", "xmlenc#sha512\"")},
        {"a character reference", with(good, "tagId=\"tag-2\"", "tagId=\"tag-3&#65;\"")},
    };
    for (const auto& row : rows) {
        INFO(row.what);
        CHECK(fault_of(row.document) == SignedXml::Fault::digest);
    }
    const std::string value = "<ds:SignatureValue>";
    std::string other = good;
    char& digit = other[other.find(value) + value.size()];
    digit = digit == 'A' ? 'B' : 'A';
    CHECK(fault_of(other) == SignedXml::Fault::signature);
    CHECK(fault_of(with(good, "<ds:DigestValue>", "<ds:DigestValue>\n")) ==
          SignedXml::Fault::signature);  // SignedInfo is signed, white space included
}

TEST_CASE("every other shape of document or signature is refused before anything is verified") {
    const std::string good = good_document();
    const std::string signature = signature_of(good);
    const std::string bare = with(good, signature, "");
    const std::string end = "</SoftwareIdentity>";
    const std::string reference = "<ds:Reference URI=\"\">";
    const std::string transform =
        "<ds:Transform Algorithm=\"http://www.w3.org/2006/12/xml-c14n11\">";
    const struct {
        const char* what;
        std::string document;
    } rows[] = {
        {"empty", ""},
        {"no XML", "hello"},
        {"cut off", good.substr(0, good.size() - 1)},
        {"bytes after the root", good + "x"},
        {"two roots", good + good},
        {"no signature", bare},
        {"wrapped", "<Evil>" + good + "</Evil>"},
        {"wrapped with a root of the same name",
         "<SoftwareIdentity>" + good + "</SoftwareIdentity>"},
        {"two signatures", with(good, end, signature + end)},
        {"signature deeper", with(bare, "</ns0:Payload>", signature + "</ns0:Payload>")},
        {"signature in a signature's object",
         with(good, "</ds:KeyInfo>", "</ds:KeyInfo><ds:Object>" + signature + "</ds:Object>")},
        {"the signed document moved into an object",
         with(good, "</ds:KeyInfo>", "</ds:KeyInfo><ds:Object><a/></ds:Object>")},
        {"reference to an id", with(good, reference, "<ds:Reference URI=\"#payload\">")},
        {"reference to a file", with(good, reference, "<ds:Reference URI=\"file:///etc/passwd\">")},
        {"reference to a network",
         with(good, reference, "<ds:Reference URI=\"http://127.0.0.1/\">")},
        {"reference without URI", with(good, reference, "<ds:Reference>")},
        {"reference with an id", with(good, reference, "<ds:Reference Id=\"a\" URI=\"\">")},
        {"another transform",
         with(good, transform,
              "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xslt-19991116\">")},
        {"a filter",
         with(good, transform,
              "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xpath-19991116\">")},
        {"a third transform", with(good, transform, transform + "</ds:Transform>" + transform)},
        {"a transform's parameter", with(good, transform, transform + "<ds:XPath>1</ds:XPath>")},
        {"exclusive canonical XML", with(good, "http://www.w3.org/2006/12/xml-c14n11",
                                         "http://www.w3.org/2001/10/xml-exc-c14n#")},
        {"a weaker digest", with(good, "http://www.w3.org/2001/04/xmldsig-more#sha384",
                                 "http://www.w3.org/2000/09/xmldsig#sha1")},
        {"a shared secret", with(good, "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384",
                                 "http://www.w3.org/2001/04/xmldsig-more#hmac-sha384")},
        {"an output length",
         with(good, "</ds:SignatureMethod>",
              "<ds:HMACOutputLength>0</ds:HMACOutputLength></ds:SignatureMethod>")},
        {"a key by value", with(good, "<ds:KeyInfo>", "<ds:KeyInfo><ds:KeyValue/>")},
        {"a key elsewhere",
         with(good, "<ds:KeyInfo>", "<ds:KeyInfo><ds:RetrievalMethod URI=\"http://127.0.0.1/\"/>")},
        {"no certificate",
         with(good, "<ds:X509Data>", "<ds:X509Data><ds:X509SKI>AA==</ds:X509SKI>")},
        {"a certificate that is none", with(good, "<ds:X509Certificate>",
                                            "<ds:X509Certificate>AAAA</ds:X509Certificate>"
                                            "<ds:X509Certificate>")},
        {"a short signature value", with(good, "<ds:SignatureValue>", "<ds:SignatureValue>AAAA")},
        {"no base64", with(good, "<ds:SignatureValue>", "<ds:SignatureValue>!")},
        {"text between elements", with(good, "<ns0:Payload>", "<ns0:Payload>text")},
        {"a comment", with(good, "<ns0:Payload>", "<ns0:Payload><!-- -->")},
        {"a comment before the root", "<!-- -->" + good},
        {"a processing instruction", with(good, "<ns0:Payload>", "<ns0:Payload><?go?>")},
        {"a style sheet", "<?xml-stylesheet href=\"http://127.0.0.1/\"?>" + good},
        {"CDATA", with(good, "<ds:SignatureValue>", "<ds:SignatureValue><![CDATA[ ]]>")},
        {"a document type", "<!DOCTYPE SoftwareIdentity>" + good},
        {"an external entity", "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>" +
                                   with(good, "<ns0:Payload>", "<ns0:Payload>&x;")},
        {"entities that grow",
         "<!DOCTYPE a [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;\">]>" +
             with(good, "product=\"GH100\"", "product=\"&b;\"")},
        {"an entity nobody declared", with(good, "product=\"GH100\"", "product=\"&b;\"")},
        {"another version", "<?xml version=\"1.1\"?>" + good},
        {"a declaration that is not first", " <?xml version=\"1.0\"?>" + good},
        {"another encoding", "<?xml version=\"1.0\" encoding=\"UTF-16\"?>" + good},
        {"a byte order mark", "\xEF\xBB\xBF" + good},
        {"a zero byte", good + std::string(1, '\0')},
        {"no UTF-8", with(good, "product=\"GH100\"", "product=\"\xFF\"")},
        {"an attribute twice", with(good, "product=\"GH100\"", "product=\"a\" product=\"GH100\"")},
        {"too long", good + std::string(signed_xml_bytes_max, ' ')},
    };
    for (const auto& row : rows) {
        INFO(row.what);
        const auto read = SignedXml::parse(as_bytes(row.document));
        REQUIRE_FALSE(read.has_value());
        CHECK(read.error().code == ErrorCode::malformed_request);
    }
}

TEST_CASE("documents at their limits") {
    std::string deep, wide = "<a>", attributes = "<a";
    for (int i = 0; i < 400; ++i) deep += "<a>";
    for (int i = 0; i < 5'000; ++i) wide += "<a/>";
    for (int i = 0; i < 100; ++i) attributes += " a" + std::to_string(i) + "=\"\"";
    for (const std::string& document : {deep, wide + "</a>", attributes + "/>"}) {
        const auto read = SignedXml::parse(as_bytes(document));
        REQUIRE_FALSE(read.has_value());
        CHECK(read.error().code == ErrorCode::malformed_request);
    }
}

TEST_CASE("a manifest says once and completely what it lists") {
    struct Row {
        const char* what;
        std::function<void(ManifestParts&)> spoil;
    };
    const auto edit = [](std::string_view old, std::string_view fresh) {
        return [=](ManifestParts& parts) {
            parts.edit_signed = [=](std::string& text) { text = with(text, old, fresh); };
        };
    };
    const Row rows[] = {
        {"an index twice", [](ManifestParts& parts) { parts.golden[3].index = 2; }},
        {"an index too large", [](ManifestParts& parts) { parts.golden[3].index = 255; }},
        {"an index with a zero before it", edit("index=\"3\"", "index=\"03\"")},
        {"a negative index", edit("index=\"3\"", "index=\"-3\"")},
        {"a short digest", [](ManifestParts& parts) { parts.golden[3].values[0].pop_back(); }},
        {"more digests than it says", edit("alternatives=\"1\"", "alternatives=\"2\"")},
        {"fewer digests than it says", edit("alternatives=\"1\"", "alternatives=\"0\"")},
        {"neither active nor not", edit("active=\"True\"", "active=\"true\"")},
        {"another size", edit("size=\"48\"", "size=\"32\"")},
        {"another type", edit("type=\"Measurement\"", "type=\"File\"")},
        {"nothing active",
         [](ManifestParts& parts) {
             for (GoldenParts& one : parts.golden) one.active = false;
         }},
        {"two payloads", edit("<ns0:Payload>", "<ns0:Payload></ns0:Payload><ns0:Payload>")},
        {"two versions", edit("<ns0:Meta ", "<ns0:Meta></ns0:Meta><ns0:Meta ")},
        {"no version", edit("colloquialVersion", "version")},
        {"something else in the payload",
         edit("<ns0:Payload>", "<ns0:Payload><ns0:File></ns0:File>")},
    };
    for (const Row& row : rows) {
        ManifestParts parts = maker().vbios;
        row.spoil(parts);
        INFO(row.what);
        const Bytes document = parts.make(maker().signer.make(), maker().signer.links[0].key);
        REQUIRE(SignedXml::parse(document).has_value());  // it is the manifest that is refused
        const auto read = parse_nvidia_manifest(document);
        REQUIRE_FALSE(read.has_value());
        CHECK(read.error().code == ErrorCode::malformed_request);
    }
}
