// The collateral service against vendors of the tests' own on loopback: what a bundle lacks is
// fetched once and proves it; a vendor that is down, busy, wrong or behind refutes nobody.
#include "tests/server/vendors.hpp"

#include <nlohmann/json.hpp>

#include <fstream>
#include <iostream>

#include "attestation/vendor_answer.hpp"
#include "tests/db/database.hpp"

using namespace cocoon;
using namespace cocoon::server;
using namespace cocoon::server::test;

namespace {

// One market with its vendors.
struct Stage {
    ManualClock clock;
    Metrics metrics;
    Vendors vendors;
    std::unique_ptr<CollateralService> service;

    explicit Stage(const std::function<void(CollateralOptions&)>& edit = {}) {
        CollateralOptions options;
        options.urls = vendors.urls();
        if (edit) edit(options);
        service = std::make_unique<CollateralService>(options, clock, metrics);
    }
    void serve(const Made& made) {
        if (made.tier.starts_with("tdx"))
            vendors.serve_tdx(made.whole.tdx);
        else
            vendors.serve_snp(made.whole.snp);
        if (made.gpu) vendors.serve_gpu(*made.gpu);
    }
    api::CompletedEvidence complete(const Bundle& bundle) {
        return service->complete(NodeId{1}, document_of(bundle));
    }
    // Completes and judges.
    Verdict judged(const Made& made, const Bundle& bundle) {
        return verify({made.tier, complete(bundle).bytes}, expected(), made.policy, clock.now())
            .value();
    }
};

std::string joined_text(const std::vector<std::string>& parts) {
    std::string out;
    for (const std::string& part : parts) out += part + "\n";
    return out;
}

}  // namespace

TEST_CASE("evidence without collateral is completed, proven, and complete for everyone after") {
    for (const char* tier : {"tdx", "snp", "tdx+gpu-cc", "snp+gpu-cc"}) {
        INFO(tier);
        const Made made = make(tier);
        Stage stage;
        stage.serve(made);
        const Bytes bare = document_of(made.bare);
        CHECK(verify({tier, bare}, expected(), made.policy, tdx_made_at).value().status ==
              Status::unknown);
        const auto completed = stage.service->complete(NodeId{1}, bare);
        INFO(joined_text(completed.missing));
        CHECK(completed.missing.empty());
        const auto verdict =
            verify({tier, completed.bytes}, expected(), made.policy, tdx_made_at).value();
        for (const Reason& reason : verdict.reasons) {
            INFO(reason.code << ": " << reason.text);
            CHECK(reason.outcome != Outcome::failed);
        }
        REQUIRE(verdict.proven());
        // What is there is not asked for again, and nothing is added to what is whole.
        const int asked = stage.vendors.asked();
        CHECK(stage.service->complete(NodeId{2}, bare).bytes == completed.bytes);
        CHECK(stage.service->complete(NodeId{2}, completed.bytes).bytes == completed.bytes);
        CHECK(stage.vendors.asked() == asked);
        CHECK(stage.metrics.collateral_fetches.value() == static_cast<std::uint64_t>(asked));
        CHECK(stage.metrics.collateral_failures.value() == 0);
    }
}

TEST_CASE("what is no bundle, or whose vendors are not asked, is left as it is") {
    Stage stage{[](CollateralOptions& options) { options.urls = {}; }};
    const Made made = make("tdx+gpu-cc");
    for (const Bytes& evidence :
         {Bytes{}, Bytes{'{'}, Bytes(100, 0xFF), document_of(made.bare), document_of(made.whole)}) {
        const auto completed = stage.service->complete(NodeId{1}, evidence);
        CHECK(completed.bytes == evidence);
        CHECK(completed.missing.empty());
    }
    CHECK(stage.vendors.asked() == 0);
}

TEST_CASE("a vendor that is down makes evidence unknown, and what is valid in memory outlives it") {
    const Made made = make("tdx");
    Stage stage;
    stage.vendors.fail_with(503);
    const auto completed = stage.complete(made.bare);
    CHECK(joined_text(completed.missing).find("answered 503") != std::string::npos);
    CHECK(completed.vendor_down);
    CHECK(stage.judged(made, made.bare).status == Status::unknown);
    // One call to each service, not one for each piece.
    CHECK(stage.vendors.asked() == 2);

    stage.vendors.fail_with(0);
    stage.serve(made);
    stage.clock.pass(minutes(1));
    CHECK(stage.judged(made, made.bare).proven());
    stage.vendors.fail_with(503);
    stage.clock.pass(days(2));  // no longer fresh
    CHECK(stage.judged(made, made.bare).proven());
    CHECK(stage.metrics.collateral_stale.value() == 4);
    stage.clock.pass(days(30));  // no longer valid
    CHECK(stage.judged(made, made.bare).status == Status::unknown);
}

TEST_CASE("a vendor's Retry-After is obeyed") {
    const Made made = make("snp");
    Stage stage;
    stage.serve(made);
    stage.vendors.fail_with(429, {{"Retry-After", "90"}});
    const auto completed = stage.complete(made.bare);
    CHECK(joined_text(completed.missing).find("answered 429; it is asked again in 9") !=
          std::string::npos);
    CHECK(stage.vendors.asked() == 1);
    stage.vendors.fail_with(0);
    stage.clock.pass(seconds(80));
    CHECK(stage.judged(made, made.bare).status == Status::unknown);
    CHECK(stage.vendors.asked() == 1);
    stage.clock.pass(seconds(11));
    CHECK(stage.judged(made, made.bare).proven());
}

TEST_CASE("a source that cannot be reached is left alone longer each time") {
    CHECK(collateral_pause(1) == seconds(1));
    CHECK(collateral_pause(2) == seconds(2));
    CHECK(collateral_pause(5) == seconds(16));
    CHECK(collateral_pause(100) == minutes(5));
    Stage stage{[](CollateralOptions& options) { options.urls.snp = "http://127.0.0.1:1"; }};
    const Made made = make("snp");
    CHECK(joined_text(stage.complete(made.bare).missing).find("cannot be used") !=
          std::string::npos);
    CHECK(stage.metrics.collateral_fetches.value() == 1);
}

TEST_CASE("a restart asks no vendor for what was fetched before it, up or down") {
    for (const char* tier : {"tdx+gpu-cc", "snp+gpu-cc"}) {
        INFO(tier);
        const Made made = make(tier);
        db::test::Database database;
        db::Pool pool{database.options(), 2};
        db::CollateralPieces pieces{pool};
        const auto remember = [&](Stage& stage) {
            stage.service->remember(
                pieces.load(stage.clock.now(), stage.service->pieces_max()),
                {[&](const db::KeptCollateral& kept) { pieces.keep(kept); },
                 [&](const std::vector<std::string>& names) { pieces.forget(names); }});
        };
        Stage first;
        first.serve(made);
        remember(first);
        const Bytes completed = first.complete(made.bare).bytes;
        Stage second;
        second.vendors.fail_with(503);
        remember(second);
        CHECK(second.complete(made.bare).bytes == completed);
        CHECK(second.judged(made, made.bare).proven());
        CHECK(second.vendors.asked() == 0);
        // What is not fresh any more is asked for, and used to its end while that fails.
        Stage third;
        third.vendors.fail_with(503);
        third.clock.pass(hours(20));
        remember(third);
        CHECK(third.judged(made, made.bare).proven());
        CHECK(third.vendors.asked() > 0);
        // At its end it counts for nothing, and is not kept.
        Stage last;
        last.vendors.fail_with(503);
        last.clock.pass(days(33));
        remember(last);
        CHECK(last.complete(made.bare).vendor_down);
        CHECK_FALSE(last.judged(made, made.bare).proven());
    }
}

TEST_CASE("a shelf that breaks takes nothing from memory") {
    const Made made = make("snp");
    Stage stage;
    stage.serve(made);
    stage.service->remember(
        {}, {[](const db::KeptCollateral&) { throw std::runtime_error{"the database is gone"}; },
             [](const std::vector<std::string>&) {}});
    CHECK(stage.judged(made, made.bare).proven());
    const int asked = stage.vendors.asked();
    CHECK(stage.judged(made, made.bare).proven());
    CHECK(stage.vendors.asked() == asked);
}

TEST_CASE("malformed answers are not used, and not asked for again at once") {
    const Made made = make("tdx");
    const std::string chain = percent_encoded(made.whole.tdx.tcb_info_issuer_chain);
    const auto with_chain = [&](std::string body) {
        return net::Response{200, {{"TCB-Info-Issuer-Chain", chain}}, std::move(body)};
    };
    const std::string signature = R"(,"signature":")" + std::string(128, 'a') + "\"}";
    const std::string good = made.whole.tdx.tcb_info;
    std::string old = good;
    old.replace(old.find("2026-12-20"), 10, "2026-11-21");
    const net::Response rows[] = {
        with_chain(""),
        with_chain("[]"),
        with_chain("{}"),
        with_chain(R"({"tcbInfo":7)" + signature),
        with_chain(R"({"tcbInfo":{})" + signature),
        with_chain(R"({"tcbInfo":)" + good + "}"),
        with_chain(R"({"tcbInfo":)" + good + R"(,"signature":"aa"})"),
        with_chain(R"({"tcbInfo":)" + good + R"(,"tcbInfo":)" + good + signature),
        with_chain(R"({"tcb\u0049nfo":)" + good + signature),
        with_chain(R"({"tcbInfo":)" + old + signature),
        with_chain(std::string(vendor_answer_bytes_max + 1, ' ')),
        {200, {}, R"({"tcbInfo":)" + good + signature},
        {200, {{"TCB-Info-Issuer-Chain", "%2"}}, R"({"tcbInfo":)" + good + signature},
        {200, {{"TCB-Info-Issuer-Chain", "none"}}, R"({"tcbInfo":)" + good + signature},
        {404, {}, "no such FMSPC"},
    };
    for (const net::Response& row : rows) {
        INFO(row.body.substr(0, 80));
        Stage stage;
        stage.serve(made);
        stage.vendors.serve(tcb_path, row);
        const auto completed = stage.complete(made.bare);
        CHECK(completed.missing.size() == 1);
        CHECK_FALSE(completed.vendor_down);
        CHECK(verify({"tdx", completed.bytes}, expected(), made.policy, stage.clock.now())
                  .value()
                  .status == Status::unknown);
        stage.complete(made.bare);
        CHECK(stage.vendors.asked(tcb_path) == 1);
    }
}

TEST_CASE("what a false source serves is refused where evidence is judged") {
    const Made made = make("tdx");
    const Made forged =
        make("tdx", [](TdxParts& parts) { parts.tcb_info_signer = &TdxKeys::get().stranger; });
    Stage stage;
    stage.vendors.serve_tdx(forged.whole.tdx);
    const Verdict verdict = stage.judged(made, made.bare);
    CHECK(verdict.status == Status::refuted);
    CHECK(verdict.first_failure() != nullptr);
}

TEST_CASE("the newest edition is used, whoever brings it, and none goes back") {
    const auto edition = [](const char* issued) {
        return make("tdx", [=](TdxParts& parts) { parts.tcb_info["issueDate"] = issued; });
    };
    const Made older = edition("2026-11-19T00:00:00Z"), newer = edition("2026-11-21T00:00:00Z");
    const auto tcb_of = [](const api::CompletedEvidence& completed) {
        return read_bundle(completed.bytes).value().tdx.tcb_info;
    };
    Stage stage;
    stage.serve(newer);
    CHECK(tcb_of(stage.complete(older.whole)) == newer.whole.tdx.tcb_info);
    stage.serve(older);
    stage.clock.pass(days(2));
    CHECK(tcb_of(stage.complete(older.bare)) == newer.whole.tdx.tcb_info);
    CHECK(stage.vendors.asked(tcb_path) == 2);
    Stage behind;
    behind.serve(older);
    CHECK(tcb_of(behind.complete(newer.whole)) == newer.whole.tdx.tcb_info);
}

TEST_CASE("an edition that was seen is asked for by its number, where the usual one is behind it") {
    const auto edition = [](int number) {
        return make("tdx", [=](TdxParts& parts) {
            parts.tcb_info["tcbEvaluationDataNumber"] = number;
            parts.qe_identity["tcbEvaluationDataNumber"] = number;
        });
    };
    const Made standard = edition(20), early = edition(21);
    std::uint32_t seen = 0;
    Stage stage{[&](CollateralOptions& options) {
        options.evaluation_number_min = [&seen] { return seen; };
    }};
    stage.serve(early);
    const std::string by_number[] = {std::string{tcb_path} + "&tcbEvaluationDataNumber=21",
                                     std::string{identity_path} + "?tcbEvaluationDataNumber=21"};
    stage.vendors.serve(by_number[0], stage.vendors.served(tcb_path));
    stage.vendors.serve(by_number[1], stage.vendors.served(identity_path));
    stage.serve(standard);
    const auto numbers = [&] {
        const TdxCollateral tdx = read_bundle(stage.complete(standard.bare).bytes).value().tdx;
        return std::pair{parse_tcb_info(tdx.tcb_info).value().evaluation_number,
                         parse_qe_identity(tdx.qe_identity).value().evaluation_number};
    };
    CHECK(numbers() == std::pair{20u, 20u});
    CHECK(stage.vendors.asked(by_number[0]) == 0);
    // Somebody brought Intel's early edition, signed as the other is: nobody else is shut out.
    seen = 21;
    CHECK(numbers() == std::pair{21u, 21u});
    seen = 22;  // not to be had: what there is, is judged
    CHECK(numbers() == std::pair{20u, 20u});
}

TEST_CASE("many submissions at once fetch each piece once") {
    const Made made = make("tdx+gpu-cc");
    Stage stage;
    stage.serve(made);
    const Bytes bare = document_of(made.bare);
    std::array<api::CompletedEvidence, 8> completed;
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < completed.size(); ++i)
        threads.emplace_back(
            [&, i] { completed[i] = stage.service->complete(NodeId{i + 1}, bare); });
    for (std::thread& thread : threads) thread.join();
    for (const auto& one : completed) CHECK(one.bytes == completed[0].bytes);
    for (const char* path : {tcb_path, identity_path, pck_list_path, root_list_path})
        CHECK(stage.vendors.asked(path) == 1);
    CHECK(stage.vendors.asked(ocsp_path) == 5);
}

TEST_CASE("a responder that knows no leaf leaves the rest proven; one that revokes is believed") {
    const Made made = make("snp+gpu-cc");
    Stage stage;
    stage.serve(made);
    OcspParts unknown;
    unknown.status = V_OCSP_CERTSTATUS_UNKNOWN;
    stage.vendors.serve_ocsp(11, made.gpu->ocsp(made.gpu->device, 0, unknown));
    CHECK(stage.complete(made.bare).missing.empty());
    CHECK(stage.judged(made, made.bare).proven());
    OcspParts revoked;
    revoked.status = V_OCSP_CERTSTATUS_REVOKED;
    revoked.this_update = gpu_made_at + hours(13);
    revoked.next_update = gpu_made_at + hours(37);
    stage.vendors.serve_ocsp(13, made.gpu->ocsp(made.gpu->device, 2, revoked));
    stage.clock.pass(hours(14));  // past half of the answers' lives
    CHECK(stage.judged(made, made.bare).status == Status::refuted);
}

TEST_CASE("an answer that is over is used as long as the policy says, and no longer") {
    Made made = make("snp+gpu-cc");
    made.policy.nvidia.revocation_stale_max = hours(6);
    made.policy.age_max = days(7);
    Stage stage{[](CollateralOptions& options) { options.ocsp_stale_max = hours(6); }};
    stage.serve(made);
    CHECK(stage.judged(made, made.bare).proven());
    stage.vendors.fail_with(503);
    stage.clock.pass(hours(26));  // the answers ended three hours ago
    CHECK(stage.judged(made, made.bare).proven());
    stage.clock.pass(hours(4));
    CHECK(stage.judged(made, made.bare).status == Status::unknown);
}

TEST_CASE("one node cannot make the market ask without end") {
    const Made made = make("snp");
    Stage stage{[](CollateralOptions& options) { options.calls_per_node = {2, minutes(10)}; }};
    stage.serve(made);
    const auto completed = stage.complete(made.bare);
    CHECK(stage.vendors.asked() == 2);
    CHECK(joined_text(completed.missing).find("asked for too much") != std::string::npos);
    CHECK(stage.service->complete(NodeId{2}, completed.bytes).missing.empty());
}

TEST_CASE("memory is bounded: what was not used for longest goes first") {
    ManualClock clock;
    Metrics metrics;
    CollateralCache cache{clock, metrics, {3, 1'000}};
    int fetched = 0;
    const auto get = [&](const std::string& name, std::size_t size) {
        clock.pass(seconds(1));
        return cache.get(name, {days(1)}, [&]() -> Result<CollateralPiece> {
            ++fetched;
            if (size == 0) return refuse(ErrorCode::not_found);
            return CollateralPiece{std::string(size, 'x'), {}, {}, {}, clock.now() + days(2)};
        });
    };
    for (const char* name : {"a", "b", "c", "a", "d"}) REQUIRE(get(name, 100));
    CHECK(cache.entries() == 3);
    CHECK(fetched == 4);
    REQUIRE(get("a", 100));
    CHECK(fetched == 4);  // used lately
    REQUIRE(get("b", 100));
    CHECK(fetched == 5);  // was not
    REQUIRE(get("e", 950));
    CHECK(cache.entries() == 1);
    CHECK(metrics.collateral_bytes.value() == 950);
    // What cannot be had is a name as well.
    for (const char* name : {"f", "g", "h", "i"}) CHECK_FALSE(get(name, 0));
    CHECK(cache.entries() == 3);
    CHECK(metrics.collateral_pieces.value() == 3);
}

TEST_CASE("a fetch that throws leaves nobody waiting") {
    ManualClock clock;
    Metrics metrics;
    CollateralCache cache{clock, metrics};
    for (int i = 0; i < 2; ++i) {
        const auto found = cache.get("a", {days(1)}, []() -> Result<CollateralPiece> {
            throw std::runtime_error{"broken"};
        });
        REQUIRE_FALSE(found);
        CHECK(found.error().code == ErrorCode::upstream_failed);
    }
}

TEST_CASE("Intel's own answers, as recorded, are read to the byte") {
    const std::string folder = COCOON_SOURCE_DIR "/../shared/vectors/tdx/pcs/";
    const auto text = [&](const std::string& name) {
        std::ifstream in{folder + name, std::ios::binary};
        return std::string{std::istreambuf_iterator<char>{in}, {}};
    };
    if (text("tcb.json").empty()) {
        std::cout << "SKIPPED: no recorded answers at " << folder << '\n';
        return;
    }
    Vendors vendors;
    const char* files[] = {"tcb.json", "qe_identity.json", "pckcrl_platform.der",
                           "root_ca_crl.der"};
    const char* paths[] = {tcb_path, identity_path, pck_list_path, root_list_path};
    for (std::size_t i = 0; i < 4; ++i) {
        const auto record = nlohmann::json::parse(text(std::string{files[i]} + ".http.json"));
        net::Response response{200, {}, text(files[i])};
        for (const auto& [name, value] : record["headers"].items())
            if (name.ends_with("Issuer-Chain"))
                response.headers.add(name, value.get<std::string>());
        vendors.serve(paths[i], std::move(response));
    }
    ManualClock clock;
    clock.pass(*Instant::parse("2026-06-29T12:00:00Z") - tdx_made_at);
    Metrics metrics;
    CollateralOptions options;
    options.urls = vendors.urls();
    CollateralService service{options, clock, metrics};
    // The quote only says what to ask for.
    const auto completed = service.complete(NodeId{1}, document_of(make("tdx").bare));
    INFO(joined_text(completed.missing));
    CHECK(completed.missing.empty());
    const TdxCollateral tdx = read_bundle(completed.bytes).value().tdx;
    CHECK(text("tcb.json").find(tdx.tcb_info) != std::string::npos);
    CHECK(parse_tcb_info(tdx.tcb_info).value().evaluation_number >= 17);
    CHECK(as_text(tdx.root_ca_crl) == text("root_ca_crl.der"));
    CHECK(as_text(tdx.pck_crl) == text("pckcrl_platform.der"));
    // The right bytes: Intel's signature holds over them.
    for (const auto& [body, signature, chain] :
         {std::tuple{tdx.tcb_info, tdx.tcb_info_signature, tdx.tcb_info_issuer_chain},
          std::tuple{tdx.qe_identity, tdx.qe_identity_signature, tdx.qe_identity_issuer_chain}}) {
        const auto signers = certificates_from_pem(chain).value();
        CHECK(signers[0].public_key().verify_ecdsa(Hash::sha256, as_bytes(body), signature));
    }
}
