// Certificates, revocation lists, chains and raw signatures, under a PKI of the test's own.
#include "attestation/certificate.hpp"

#include "tests/attestation/tdx_maker.hpp"
#include "tests/catch.hpp"

using namespace cocoon;
using namespace cocoon::attestation;
using namespace cocoon::attestation::test;

namespace {

const Instant at = tdx_made_at;

// Leaf, authority, root; a test may edit what goes into them.
struct Family {
    CertificateParts leaf{
        "leaf", 0x1F, at - days(1), at + days(1), "critical,CA:FALSE", "critical,digitalSignature",
        {}};
    CertificateParts authority{"authority",
                               2,
                               at - days(2),
                               at + days(2),
                               "critical,CA:TRUE,pathlen:0",
                               "critical,keyCertSign",
                               {}};
    CertificateParts root{
        "root", 1, at - days(3), at + days(3), "critical,CA:TRUE", "critical,keyCertSign,cRLSign",
        {}};
    const Key* leaf_signer = &TdxKeys::get().authority;

    std::vector<Certificate> made() const {
        const TdxKeys& keys = TdxKeys::get();
        const Bytes der[] = {make_certificate(leaf, keys.pck, "authority", *leaf_signer),
                             make_certificate(authority, keys.authority, "root", keys.root),
                             make_certificate(root, keys.root, "root", keys.root)};
        std::vector<Certificate> chain;
        for (const Bytes& each : der) chain.push_back(Certificate::from_der(each).value());
        return chain;
    }
};

ChainRules pinned(const std::vector<Certificate>& chain) {
    ChainRules rules;
    rules.pins = {chain.back().public_key().spki_sha256()};
    return rules;
}

// "code position", for each fault.
std::string told(const std::vector<ChainFault>& faults) {
    std::string out;
    for (const ChainFault& fault : faults)
        out += (out.empty() ? "" : ", ") + std::string{fault.code} + " " +
               std::to_string(fault.position);
    return out;
}

}  // namespace

TEST_CASE("certificates: what is in one can be read") {
    Family family;
    family.leaf.extensions = {{"1.2.3.4", {1, 2, 3}}};
    const auto chain = family.made();
    const Certificate& leaf = chain[0];
    CHECK(leaf.subject() == "CN=leaf");
    CHECK(leaf.issuer() == "CN=authority");
    CHECK(leaf.common_name() == "leaf");
    CHECK(leaf.serial() == "1f");
    CHECK(leaf.not_before() == at - days(1));
    CHECK(leaf.not_after() == at + days(1));
    CHECK_FALSE(leaf.is_ca());
    CHECK(leaf.may_sign_data());
    CHECK_FALSE(leaf.may_sign_certificates());
    CHECK(leaf.extension("1.2.3.4") == Bytes{1, 2, 3});
    CHECK_FALSE(leaf.extension("1.2.3.5"));
    CHECK(chain[1].path_length() == 0);
    CHECK_FALSE(chain[2].path_length());
    CHECK(chain[2].may_sign_revocation_lists());
    CHECK(leaf.names_issuer(chain[1]));
    CHECK_FALSE(leaf.names_issuer(chain[2]));
    CHECK(leaf.signed_by(chain[1].public_key()));
    CHECK_FALSE(leaf.signed_by(chain[2].public_key()));
    CHECK(chain_not_after(chain) == at + days(1));
    Family odd;
    odd.leaf.common_name = " a,b+c\"\\<>;#\x01 ";
    CHECK(odd.made()[0].common_name() == " a,b+c\"\\<>;#? ");
    CHECK(odd.made()[0].subject() == "CN=\\ a\\,b\\+c\\\"\\\\\\<\\>\\;#\\01\\ ");
}

TEST_CASE("certificates: a name for people is bounded and plain") {
    const TdxKeys& keys = TdxKeys::get();
    CertificateParts parts{
        "\xE2\x80\xAE"
        "drac",
        1,
        at,
        at + days(1),
        "",
        "",
        {}};
    const auto made = [&] {
        return Certificate::from_der(make_certificate(parts, keys.pck, "issuer", keys.pck));
    };
    CHECK(made().value().common_name() == "???drac");  // was: read from right to left
    // OpenSSL refuses to make names over 64 characters, so the limit is met in bytes.
    parts.common_name.clear();
    for (int i = 0; i < 64; ++i) parts.common_name += "\xC3\xA4";
    CHECK(made().has_value());
    parts.common_name.clear();
    for (int i = 0; i < 43; ++i) parts.common_name += "\xE2\x82\xAC";
    CHECK_FALSE(made().has_value());
}

TEST_CASE("certificates: a good chain holds, and each fault has its code and its place") {
    using Parts = CertificateParts;
    struct Row {
        const char* faults;
        std::function<void(Parts& leaf, Parts& authority, Parts& root)> edit;
    };
    const Row rows[] = {
        {"", [](Parts&, Parts&, Parts&) {}},
        {"certificate_expired 0", [](Parts& l, Parts&, Parts&) { l.not_after = at - seconds(1); }},
        {"certificate_expired 2", [](Parts&, Parts&, Parts& r) { r.not_after = at - seconds(1); }},
        {"certificate_not_yet_valid 1",
         [](Parts&, Parts& a, Parts&) { a.not_before = at + seconds(1); }},
        {"leaf_is_a_ca 0", [](Parts& l, Parts&, Parts&) { l.basic_constraints = "CA:TRUE"; }},
        {"", [](Parts& l, Parts&, Parts&) { l.basic_constraints = l.key_usage = ""; }},
        {"key_usage 0", [](Parts& l, Parts&, Parts&) { l.key_usage = "keyEncipherment"; }},
        {"key_usage 1", [](Parts&, Parts& a, Parts&) { a.key_usage = "digitalSignature"; }},
        {"not_a_ca 1", [](Parts&, Parts& a, Parts&) { a.basic_constraints = ""; }},
        {"not_a_ca 2", [](Parts&, Parts&, Parts& r) { r.basic_constraints = "CA:FALSE"; }},
        {"path_length 2",
         [](Parts&, Parts&, Parts& r) { r.basic_constraints = "critical,CA:TRUE,pathlen:0"; }},
        {"critical_extension 0",
         [](Parts& l, Parts&, Parts&) {
             l.critical = {{"1.2.3", {1}}};
         }},
        {"critical_extension 1",
         [](Parts&, Parts& a, Parts&) {
             a.critical = {{"1.2.3", {1}}};
         }},
        {"",
         [](Parts& l, Parts&, Parts&) {
             l.critical = {{"1.2.4", {1}}};
         }},  // allowed below
        {"chain_order 0", [](Parts&, Parts& a, Parts&) { a.common_name = "another"; }},
    };
    for (const Row& row : rows) {
        Family family;
        row.edit(family.leaf, family.authority, family.root);
        const auto chain = family.made();
        ChainRules rules = pinned(chain);
        rules.critical_allowed = {"1.2.4"};
        CHECK(told(check_chain(chain, rules, at)) == row.faults);
    }
    Family forged;
    forged.leaf_signer = &TdxKeys::get().stranger;
    const auto chain = forged.made();
    CHECK(told(check_chain(chain, pinned(chain), at)) == "certificate_signature 0");
}

TEST_CASE("certificates: a chain begins with its leaf, ends at a pin and has its own length") {
    const auto chain = Family{}.made();
    ChainRules rules = pinned(chain);
    CHECK(told(check_chain({}, rules, at)) == "chain_short 0");
    rules.count_min = rules.count_max = 2;
    CHECK(told(check_chain(chain, rules, at)) == "chain_long 2");
    rules.count_min = rules.count_max = 4;
    CHECK(told(check_chain(chain, rules, at)) == "chain_short 2");
    rules = pinned(chain);
    const std::vector<Certificate> no_root{chain[0], chain[1]};
    CHECK(told(check_chain(no_root, rules, at)) == "root_not_pinned 1, chain_order 1");
    rules.pins = {chain[1].public_key().spki_sha256()};  // a pin is for roots, not for any link
    CHECK(told(check_chain(chain, rules, at)) == "root_not_pinned 2");
    rules.pins.clear();
    CHECK(told(check_chain(chain, rules, at)) == "root_not_pinned 2");
    rules = pinned(chain);
    const std::vector<Certificate> swapped{chain[1], chain[0], chain[2]};
    CHECK(told(check_chain(swapped, rules, at)).starts_with("chain_order 0"));
    CHECK(check_chain(chain, rules, at - days(1)).empty());
    CHECK(check_chain(chain, rules, at + days(1)).empty());
    CHECK(told(check_chain(chain, rules, at + days(1) + microseconds(1))) ==
          "certificate_expired 0");
}

TEST_CASE("certificates: one encoding, nothing around it, no extension twice") {
    const auto chain = Family{}.made();
    const Bytes der = chain[0].der();
    CHECK(Certificate::from_der(der).value().der() == der);
    Bytes longer = der;
    longer.push_back(0);
    CHECK_FALSE(Certificate::from_der(longer));
    CHECK_FALSE(Certificate::from_der(ByteView{der}.first(der.size() - 1)));
    CHECK_FALSE(Certificate::from_der({}));
    CHECK_FALSE(Certificate::from_der(Bytes(certificate_bytes_max + 1, 0x30)));
    Bytes indefinite = der;  // BER's indefinite length: the same certificate to a lax reader
    indefinite[1] = 0x80;
    CHECK_FALSE(Certificate::from_der(indefinite));
    Family twice;
    twice.leaf.extensions = {{"1.2.3", {1}}, {"1.2.3", {2}}};
    const TdxKeys& keys = TdxKeys::get();
    CHECK_FALSE(
        Certificate::from_der(make_certificate(twice.leaf, keys.pck, "authority", keys.authority)));
}

TEST_CASE("certificates: PEM is blocks and line ends, nothing else") {
    const auto chain = Family{}.made();
    const std::string one = pem_of(chain[0].der());
    struct Row {
        std::string pem;
        std::size_t count;  // 0: refused
    };
    std::string crlf;
    for (const char c : one) crlf += c == '\n' ? std::string{"\r\n"} : std::string{c};
    std::string cut = one;
    cut.erase(40, 1);
    const Row rows[] = {
        {one, 1},
        {one + one, 2},
        {crlf, 1},
        {"\n\n" + one + "\n" + one, 2},
        {one.substr(0, one.size() - 1), 1},
        {one + std::string(5, '\0'), 1},
        {"", 0},
        {std::string(3, '\0'), 0},
        {" " + one, 0},
        {one + "x", 0},
        {one + std::string{"\0x", 2}, 0},
        {"subject=leaf\n" + one, 0},
        {one.substr(0, one.size() - 5), 0},
        {cut, 0},
        {"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n", 0},
        {"-----BEGIN CERTIFICATE----------END CERTIFICATE-----\n", 0},
        {one + one + one + one + one + one + one + one, 8},
        {one + one + one + one + one + one + one + one + one, 0},
    };
    for (const Row& row : rows) {
        const auto read = certificates_from_pem(row.pem);
        INFO(row.pem.substr(0, 60));
        CHECK((read ? read->size() : 0) == row.count);
    }
    CHECK(Certificate::from_pem(one).has_value());
    CHECK_FALSE(Certificate::from_pem(one + one));
}

TEST_CASE("certificates: revocation lists are complete, dated and numbered") {
    const TdxKeys& keys = TdxKeys::get();
    const auto chain = Family{}.made();
    const RevocationListParts parts{0x1234, at - days(1), at + days(1), {5, 0x1F}};
    const Bytes der = make_revocation_list(parts, "authority", keys.authority);
    const RevocationList list = RevocationList::from_der(der).value();
    CHECK(list.number() == std::string(36, '0') + "1234");
    CHECK(list.this_update() == at - days(1));
    CHECK(list.next_update() == at + days(1));
    CHECK(list.issuer() == "CN=authority");
    CHECK(list.names_issuer(chain[1]));
    CHECK_FALSE(list.names_issuer(chain[2]));
    CHECK(list.signed_by(chain[1].public_key()));
    CHECK_FALSE(list.signed_by(chain[2].public_key()));
    CHECK(list.revokes(chain[0]));
    CHECK_FALSE(list.revokes(chain[1]));
    Bytes spoiled = der;
    spoiled.push_back(0);
    CHECK_FALSE(RevocationList::from_der(spoiled));
    CHECK_FALSE(RevocationList::from_der(chain[0].der()));
    CHECK_FALSE(RevocationList::from_der({}));

    const auto with = [&](int kind, const char* words, const char* oid) {
        const unsigned char* read_at = der.data();
        const Owned<X509_CRL, X509_CRL_free> made{
            d2i_X509_CRL(nullptr, &read_at, static_cast<long>(der.size()))};
        if (oid) {
            const Owned<ASN1_OBJECT, ASN1_OBJECT_free> object{OBJ_txt2obj(oid, 1)};
            const Owned<ASN1_OCTET_STRING, ASN1_OCTET_STRING_free> data{ASN1_OCTET_STRING_new()};
            ASN1_OCTET_STRING_set(data.get(), reinterpret_cast<const unsigned char*>("\5\0"), 2);
            const Owned<X509_EXTENSION, X509_EXTENSION_free> extension{
                X509_EXTENSION_create_by_OBJ(nullptr, object.get(), 1, data.get())};
            X509_CRL_add_ext(made.get(), extension.get(), -1);
        } else {
            const Owned<X509_EXTENSION, X509_EXTENSION_free> extension{
                X509V3_EXT_conf_nid(nullptr, nullptr, kind, words)};
            must(extension != nullptr, "extension");
            X509_CRL_add_ext(made.get(), extension.get(), -1);
        }
        const auto signing = keys.authority.signing();
        must(X509_CRL_sign_ctx(made.get(), signing.get()) > 0, "signature");
        return RevocationList::from_der(encoded<X509_CRL>(made.get(), i2d_X509_CRL)).has_value();
    };
    const int point = NID_issuing_distribution_point;
    CHECK(with(point, "critical,fullname:URI:http://example.invalid/crl", nullptr));
    CHECK_FALSE(with(point, "critical,onlyuser:TRUE", nullptr));
    CHECK_FALSE(with(point, "critical,onlyCA:TRUE", nullptr));
    CHECK_FALSE(with(point, "critical,indirectCRL:TRUE", nullptr));
    CHECK_FALSE(with(point, "critical,onlysomereasons:keyCompromise", nullptr));
    CHECK_FALSE(with(0, nullptr, "2.5.29.27"));  // a delta
    CHECK_FALSE(with(0, nullptr, "1.2.3"));      // critical and not known
}

TEST_CASE("certificates: raw ECDSA signatures are of the key's curve and in range") {
    const Bytes message{1, 2, 3};
    for (const KeyKind kind : {KeyKind::p256, KeyKind::p384}) {
        const Key key{kind};
        const Curve curve = kind == KeyKind::p256 ? Curve::p256 : Curve::p384;
        const Hash hash = kind == KeyKind::p256 ? Hash::sha256 : Hash::sha384;
        const PublicKey known = PublicKey::from_point(curve, key.point()).value();
        const Bytes good = key.sign_raw(message);
        CHECK(known.verify_ecdsa(hash, message, good));
        CHECK_FALSE(known.verify_ecdsa(hash, Bytes{1, 2}, good));
        CHECK_FALSE(
            known.verify_ecdsa(kind == KeyKind::p256 ? Hash::sha384 : Hash::sha256, message, good));
        CHECK_FALSE(known.verify_ecdsa(hash, message, Bytes(good.size(), 0)));
        CHECK_FALSE(known.verify_ecdsa(hash, message, Bytes(good.size(), 0xFF)));
        CHECK_FALSE(known.verify_ecdsa(hash, message, {}));
        Bytes shorter = good;
        shorter.pop_back();
        CHECK_FALSE(known.verify_ecdsa(hash, message, shorter));
        Bytes off_curve = key.point();
        off_curve.back() ^= 1;
        CHECK_FALSE(PublicKey::from_point(curve, off_curve));
        CHECK_FALSE(PublicKey::from_point(curve, Bytes(off_curve.size(), 0)));
        CHECK_FALSE(PublicKey::from_point(curve, ByteView{off_curve}.first(63)));
    }
    const Key rsa{KeyKind::rsa};
    const CertificateParts parts{"rsa", 1, at, at + days(1), "", "", {}};
    const auto certificate =
        Certificate::from_der(make_certificate(parts, rsa, "rsa", rsa)).value();
    CHECK(certificate.signed_by(certificate.public_key()));
    CHECK_FALSE(certificate.public_key().verify_ecdsa(Hash::sha384, message, Bytes(96, 1)));
}

TEST_CASE("certificates: the pin of a key is the hash of its SubjectPublicKeyInfo") {
    const Key key{KeyKind::p256};
    const CertificateParts parts{"pin", 1, at, at + days(1), "", "", {}};
    const auto certificate =
        Certificate::from_der(make_certificate(parts, key, "pin", key)).value();
    const auto point = PublicKey::from_point(Curve::p256, key.point()).value();
    CHECK(certificate.public_key().spki_sha256() == point.spki_sha256());
    CHECK(point.spki_sha256().size() == 64);
}
