// Stored evidence judged anew: firmware that newer collateral calls old is warned of first and ends
// when its grace is over, what is revoked ends at once, and a vendor that is down ends nothing.
#include "server/evidence_watch.hpp"

#include "api/wire_supply.hpp"
#include "db/collateral.hpp"
#include "sealing/statement.hpp"
#include "server/evidence_policy.hpp"
#include "tests/db/market.hpp"
#include "tests/server/vendors.hpp"

using namespace cocoon;
using namespace cocoon::server;
using namespace cocoon::server::test;

namespace {

const std::string keyset_digest = "sha256:" + std::string(64, 'b');

struct House {
    db::test::Database database;
    db::test::TestMarket market{database};
    db::Pool pool{database.options(), 3};
    ManualClock clock;
    Metrics metrics;
    Vendors vendors;
    std::unique_ptr<CollateralService> collateral;
    Policy policy;
    CollateralSeen seen;
    std::string nonce = std::string(64, '7');
    bool lane_down = false;

    House() {
        market.furnish();
        CollateralOptions options;
        options.urls = vendors.urls();
        collateral = std::make_unique<CollateralService>(options, clock, metrics);
        policy.outdated_grace = hours(6);
    }
    // Evidence as a node made it for our nonce; `edit` changes the machine or Intel's word about
    // it.
    TdxEvidence evidence(const EditTdx& edit = {}) const {
        const auto bound = sealing::report_data_for(keyset_digest, nonce).value();
        return make_tdx([&](TdxParts& parts) {
            parts.report.report_data = bound;
            if (edit) edit(parts);
        });
    }
    // The node attests with it, as the evidence route has it stored.
    void attest(const TdxEvidence& made, Duration life = hours(20)) {
        policy.tdx = made.policy;
        Bundle bundle;
        bundle.cpu = TdxPart{made.quote, {}};
        bundle.tdx = made.collateral;
        const Bytes bytes = document_of(bundle);
        const auto bound = sealing::report_data_for(keyset_digest, nonce).value();
        const auto verdict =
            attestation::verify({"tdx", bytes}, bound, policy, clock.now()).value();
        REQUIRE(verdict.proven());
        market.now = std::max(market.now, clock.now());
        matching::SubmitVerdict submit;
        submit.node = market.node;
        submit.tier = matching::Tier::tdx;
        submit.keyset_digest = keyset_digest;
        submit.keyset_document = "{}";
        submit.evidence_hash = to_hex(sha256(bytes));
        submit.evidence = text_of(bytes);
        submit.verdict = api::verdict_document(verdict, nonce);
        submit.valid_until = clock.now() + life;
        market.must<matching::VerdictAnswer>(submit);
        market.project();
    }
    void round(EvidenceWatch& watch) {
        market.project();
        watch.round();
        market.project();
    }
    EvidenceWatchDoors doors() {
        return {pool,
                [this](NodeId node, Bytes bytes) { return collateral->refresh(node, bytes); },
                [this] { return against_rollback(policy, seen); },
                [this](const CollateralSeen& newer) { seen.note(newer); },
                [this](matching::Command command) -> std::optional<matching::Reply> {
                    if (lane_down) return matching::Reply{refuse(ErrorCode::overloaded)};
                    market.now = std::max(market.now, clock.now());
                    return market.send(std::move(command)).reply;
                },
                clock,
                metrics};
    }
    void pass(Duration time) { clock.pass(time); }
    // As the lane does when something is due.
    void tick() {
        market.now = std::max(market.now, clock.now());
        market.must<matching::Done>(matching::Tick{});
        market.project();
    }
    matching::Node node() { return *db::Reader{pool}.node(market.node); }
    std::vector<std::string> told() {
        std::vector<std::string> all;
        for (const auto& event : db::Reader{pool}.feed(market.provider, 0, 1'000).events) {
            if (const auto* e = std::get_if<matching::EvidenceDoubted>(&event.event))
                all.push_back("doubted " + e->reason.substr(0, e->reason.find(':')));
            if (const auto* e = std::get_if<matching::EvidenceEnded>(&event.event))
                all.push_back("ended " + e->reason.substr(0, e->reason.find(':')));
        }
        return all;
    }
};

// Intel has found the platform's versions wanting: the level that it had is out of date now.
void outdate(TdxParts& parts) {
    parts.tcb_info["issueDate"] = "2026-11-21T00:00:00Z";
    parts.tcb_info["tcbEvaluationDataNumber"] = 21;
    parts.qe_identity["issueDate"] = "2026-11-21T00:00:00Z";
    parts.qe_identity["tcbEvaluationDataNumber"] = 21;
    parts.tcb_info["tcbLevels"][0]["tcb"]["pcesvn"] = 14;
    parts.tcb_info["tcbLevels"][1]["tcb"]["pcesvn"] = 13;
}

}  // namespace

TEST_CASE("firmware gone out of date is warned of first, then its evidence ends; new one is good") {
    House house;
    const TdxEvidence good = house.evidence();
    house.vendors.serve_tdx(good.collateral);
    house.attest(good);
    EvidenceWatch watch{house.doors()};
    house.round(watch);
    CHECK(house.metrics.evidence_checks.value() == 1);
    CHECK(house.told().empty());
    CHECK(house.seen.tdx_evaluation_number == 20);
    // Not looked at again before its time, nor are vendors asked.
    const int asked = house.vendors.asked();
    house.round(watch);
    CHECK(house.vendors.asked() == asked);

    house.vendors.serve_tdx(house.evidence(outdate).collateral);
    house.pass(days(1) + hours(1));
    house.attest(good, days(2));
    house.lane_down = true;
    house.round(watch);
    CHECK(house.told().empty());
    house.lane_down = false;
    house.round(watch);
    CHECK(house.told() == std::vector<std::string>{"doubted cpu_tcb_status"});
    CHECK(house.node().evidence_valid_until == house.market.now + hours(6));
    CHECK(house.seen.tdx_evaluation_number == 21);
    CHECK(house.metrics.evidence_doubts.value() == 1);
    // Once, across restarts; and the older collateral is no way back.
    house.pass(hours(2));
    EvidenceWatch restarted{house.doors()};
    house.round(restarted);
    CHECK(house.told().size() == 1);
    house.pass(hours(4) + seconds(1));
    house.tick();
    CHECK(house.told() == std::vector<std::string>{"doubted cpu_tcb_status", "ended out_of_date"});
    CHECK(house.node().evidence_valid_until <= house.market.now);

    // Updated and attested anew: back at once.
    const TdxEvidence updated = house.evidence([](TdxParts& parts) {
        outdate(parts);
        parts.pck.pce_svn = 14;
    });
    house.attest(updated);
    CHECK(house.node().evidence_notices == 0);
    CHECK(house.node().evidence_valid_until > house.clock.now());
    house.round(restarted);
    CHECK(house.told().size() == 2);
}

TEST_CASE("what is revoked ends at once") {
    House house;
    const TdxEvidence good = house.evidence();
    house.vendors.serve_tdx(good.collateral);
    house.attest(good);
    house.vendors.serve_tdx(house
                                .evidence([](TdxParts& parts) {
                                    parts.pck_list.this_update = tdx_made_at - hours(1);
                                    parts.pck_list.revoked.push_back(parts.leaf.serial);
                                })
                                .collateral);
    EvidenceWatch watch{house.doors()};
    house.round(watch);
    CHECK(house.told() == std::vector<std::string>{"ended cpu_pck_revocation"});
    CHECK(house.node().evidence_valid_until <= house.market.now);
    // Only a proof, or mere age, raises what counts as the newest.
    CHECK(house.seen == CollateralSeen{});
}

TEST_CASE("neither a vendor that is down nor a node that asks too much hides what was revoked") {
    House house;
    const TdxEvidence good = house.evidence();
    house.vendors.serve_tdx(good.collateral);
    house.attest(good);
    CollateralOptions options;
    options.urls = house.vendors.urls();
    options.calls_per_node = {1, minutes(10)};
    house.collateral = std::make_unique<CollateralService>(options, house.clock, house.metrics);
    Bundle bare;
    bare.cpu = TdxPart{good.quote, {}};
    CHECK(house.collateral->complete(house.market.node, document_of(bare)).vendor_down);
    house.vendors.serve_tdx(house
                                .evidence([](TdxParts& parts) {
                                    parts.pck_list.this_update = tdx_made_at - hours(1);
                                    parts.pck_list.revoked.push_back(parts.leaf.serial);
                                })
                                .collateral);
    house.vendors.serve(root_list_path, {503, {}, {}});
    EvidenceWatch watch{house.doors()};
    house.round(watch);
    CHECK(house.told() == std::vector<std::string>{"ended cpu_pck_revocation"});
    CHECK(house.metrics.evidence_unknown.value() == 0);
}

TEST_CASE("a vendor that is down ends nothing, and a node that is away is not looked at") {
    House house;
    const TdxEvidence good = house.evidence();
    house.vendors.fail_with(503);
    house.attest(good);
    EvidenceWatch watch{house.doors()};
    house.round(watch);
    CHECK(house.metrics.evidence_checks.value() == 1);
    CHECK(house.told().empty());
    // Newer collateral was seen than the node has, and none can be had: unknown, not refuted.
    house.seen.tdx_evaluation_number = 21;
    house.pass(hours(2));
    house.round(watch);
    CHECK(house.metrics.evidence_unknown.value() == 1);
    CHECK(house.told().empty());
    house.market.must<matching::Done>(matching::SetNodePresence{house.market.node, false});
    house.pass(hours(2));
    house.round(watch);
    CHECK(house.metrics.evidence_checks.value() == 2);
}

TEST_CASE("collateral that nobody replaces is an alarm seven days before its end") {
    House house;
    const TdxEvidence good = house.evidence();
    house.vendors.serve_tdx(good.collateral);
    house.attest(good, days(40));
    EvidenceWatch watch{house.doors()};
    house.round(watch);
    house.collateral->measure();
    CHECK(house.metrics.collateral_ending_pieces.value() == 0);
    house.vendors.fail_with(503);
    house.pass(days(20));  // the list of PCK certificates ends within a week
    house.round(watch);
    house.collateral->measure();
    CHECK(house.metrics.collateral_ending_pieces.value() == 1);
    house.pass(days(2));  // so do TCB info and the identity of the quoting enclave
    house.round(watch);
    house.collateral->measure();
    CHECK(house.metrics.collateral_ending_pieces.value() == 3);
}

TEST_CASE("the newest collateral counts before and after a restart, also if it cannot be stored") {
    db::test::Database database;
    db::Pool pool{database.options(), 2};
    db::CollateralMemory memory{pool};
    CollateralSeen newer;
    newer.tdx_evaluation_number = 19;
    newer.pck_crl_issued[0] = tdx_made_at;
    bool broken = true;
    int stored = 0;
    const auto keep = [&](const CollateralSeen& seen) {
        if (broken) throw std::runtime_error{"the database is gone"};
        ++stored;
        memory.raise(seen);
    };
    {
        EvidencePolicy policy{""};
        policy.remember(memory.load(), keep);
        policy.note(newer);
        CHECK(policy.current().tdx.evaluation_number_min == 19);
        CHECK(memory.load() == CollateralSeen{});
        broken = false;
        policy.note({});  // nothing newer, but something is not stored yet
        CHECK(memory.load() == newer);
        policy.note(newer);
        CHECK(stored == 1);
    }
    EvidencePolicy restarted{""};
    restarted.remember(memory.load(), keep);
    CHECK(restarted.current().tdx.evaluation_number_min == 19);
    CHECK(restarted.current().tdx.pck_crl_issued_min[0] == tdx_made_at);
    CHECK(restarted.current().tdx.pck_crl_issued_min[1] == Instant{});
}
