#include "attestation/snp_table.hpp"
#include "tests/attestation/seeds.hpp"
#include "tests/attestation/snp_table_maker.hpp"
#include "tests/catch.hpp"

using namespace cocoon;
using namespace cocoon::attestation;
using namespace cocoon::attestation::test;

TEST_CASE("a host's certificate table gives back what was put in, whatever else it holds") {
    const auto collateral = make_snp().collateral;
    const auto whole = read_snp_table(make_host_table(collateral));
    REQUIRE(whole);
    CHECK(whole->key_certificate == collateral.key_certificate);
    CHECK(whole->signer_certificate == collateral.signer_certificate);
    CHECK(whole->root_certificate == collateral.root_certificate);
    CHECK(whole->revocation_list == collateral.revocation_list);
    const auto leased = read_snp_table(make_snp_table({{guid_vlek, collateral.key_certificate}}));
    REQUIRE(leased);
    CHECK(leased->key_certificate == collateral.key_certificate);
    for (const Bytes& empty : {Bytes{}, Bytes(24), Bytes(4096)})
        CHECK(read_snp_table(empty).value().key_certificate.empty());
}

TEST_CASE("a table that lies about its lengths or contents is refused") {
    const Bytes good = make_snp().collateral.key_certificate;
    const auto edited = [&](std::size_t at, std::size_t size) {
        Bytes table = make_snp_table({{guid_vcek, good}});
        std::fill_n(table.begin() + static_cast<std::ptrdiff_t>(at), size, 0xFF);
        return table;
    };
    Bytes cut = make_snp_table({{guid_vcek, good}});
    cut.resize(20);
    const std::pair<const char*, Bytes> rows[] = {
        {"offset outside", edited(16, 4)},
        {"length outside", edited(20, 4)},
        {"offset and length overflow", edited(16, 8)},
        {"an entry cut off", cut},
        {"no zero entry before the blobs", Bytes(70, 0xFF)},
        {"no certificate", make_snp_table({{guid_vcek, Bytes(100, 7)}})},
        {"an empty one", make_snp_table({{guid_ark, {}}})},
        {"two keys", make_snp_table({{guid_vcek, good}, {guid_vlek, good}})},
        {"a certificate as a list", make_snp_table({{guid_crl, good}})},
    };
    for (const auto& [why, table] : rows) {
        INFO(why);
        const auto refused = read_snp_table(table);
        REQUIRE_FALSE(refused);
        CHECK(refused.error().code == ErrorCode::malformed_request);
    }
}

TEST_CASE("seeds of snp_table_fuzz", "[.seeds]") {
    save_seed("snp_table_fuzz", "host", make_host_table(make_snp().collateral));
}
