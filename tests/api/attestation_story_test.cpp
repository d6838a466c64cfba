// The story of a node's trust, through the contract: hardware-shaped evidence under a PKI of the
// test's own, judged by a policy that names its roots; the register of builds; one machine as one
// node; probation; the deny-list.
#include "api/events.hpp"
#include "attestation/binding.hpp"
#include "attestation/bundle.hpp"
#include "attestation/policy.hpp"
#include "sealing/keyset.hpp"
#include "sealing/statement.hpp"
#include "tests/api/house.hpp"
#include "tests/attestation/gpu_maker.hpp"
#include "tests/attestation/tdx_maker.hpp"

using namespace cocoon;
using namespace cocoon::api;
using namespace cocoon::api::test;
using namespace cocoon::matching;
using namespace cocoon::attestation::test;

namespace {

// What stands in a rack: a processor, a GPU and the image that runs there.
struct Machine {
    std::uint8_t processor = 1;  // makes the PPID
    std::shared_ptr<GpuMaker> gpu = std::make_shared<GpuMaker>("48B02D0000000001");
    std::uint8_t image = 0x3D;  // makes the MRTD
    EditTdx edit;
    std::vector<std::shared_ptr<GpuMaker>> more_gpus{};
};

class Story : public House {
public:
    Story() {
        market.now = tdx_made_at;
        std::tie(provider, provider_manager) = sign_up(*this, "provider");
        std::tie(developer, developer_manager) = sign_up(*this, "developer");
        market.must<DepositAnswer>(CreditDeposit{
            get("/v1/account/deposit", developer_manager).body["memo"], Nano{1'000'000'000}, "c"});
        market.must<Done>(SetTrustRule{{real_tiers, 2}, "settings"});
    }

    Principal enrol(int gpus = 1) {
        const Heard token = post("/v1/nodes/enrolments", provider);
        const Heard made = post("/v1/nodes:enrol", Principal{},
                                {{"token", token.body["token"]},
                                 {"name", "rack"},
                                 {"region", "eu-west"},
                                 {"country", "NL"},
                                 {"gpu_model", "H100"},
                                 {"gpu_count", gpus}});
        REQUIRE(made.status == 201);
        const auto id = *NodeId::parse(made.body["node"]["id"].get<std::string>());
        market.must<Done>(SetNodePresence{id, true});
        return person(provider.account, AccountKind::provider, scope_node,
                      *KeyId::parse(made.body["key"]["id"].get<std::string>()), id);
    }

    // Challenge, evidence, verdict: what the machine shows as that node.
    Heard attest(const Principal& node, const Machine& machine) {
        const std::string path = "/v1/nodes/" + node.node.text();
        market.now = market.now + milliseconds(1);
        const std::string nonce = post(path + "/challenge", node).body["nonce"];
        sealing::Keyset parts;
        parts.receipt_keys = {{"receipt-1", sealing::SigningKey::generate().public_key()}};
        parts.sealing_keys = {{"seal-1", sealing::ohttp::make_key_config(
                                             1, sealing::SealingKey::generate().public_key())}};
        parts.not_after = Instant{(market.now + hours(12)).unix_seconds() * 1'000'000};
        const auto keyset = sealing::build_keyset(parts);
        REQUIRE(keyset);
        const auto bound = *sealing::report_data_for(keyset->digest, nonce);
        const std::string bundle = bundle_of(machine, bound);
        return post(path + "/evidence", node,
                    {{"tier", "tdx+gpu-cc"},
                     {"nonce", nonce},
                     {"keyset_document", keyset->document},
                     {"evidence", to_base64(as_bytes(bundle))}});
    }

    void offer(const Principal& node, const std::string& price) {
        REQUIRE(post("/v1/offers", node,
                     {{"market", "inference:m"},
                      {"slots", 8},
                      {"price", {{"completion_nano_per_mtok", price}}}})
                    .status == 201);
    }
    Heard request(const json& more = json::object()) {
        json body{{"market", "inference:m"},
                  {"quantity", {{"completion_tokens", 1'000'000}, {"requests", 1}}},
                  {"job_seconds", 60},
                  {"time_in_force", "immediate"}};
        body.update(more);
        return post("/v1/requests", developer, body);
    }
    std::string rest() {
        return request({{"time_in_force", "rest"}, {"rest_until", (market.now + hours(2)).text()}})
            .body["request"]["id"];
    }
    // "measurement_revoked:1 …" of a request that waits.
    std::string removed(const std::string& request) {
        const Heard why = get("/v1/requests/" + request + "/explain", developer);
        std::string text;
        for (const json& one : why.body["explanation"]["removed"])
            text += (text.empty() ? "" : " ") + one["constraint"].get<std::string>() + ":" +
                    std::to_string(one["offers"].get<int>());
        return text;
    }
    json node_json(const Principal& node) {
        return get("/v1/nodes/" + node.node.text(), provider).body;
    }
    Heard decide(const std::string& id, const std::string& verb, const std::string& reason) {
        return post("/v1/admin/measurements/" + id + ":" + verb, admin, {{"reason", reason}});
    }
    // Names of the events that the provider's feed tells, newest last.
    std::vector<std::string> told_to_provider() {
        market.project();
        db::Reader reader{pool};
        std::vector<std::string> names;
        for (const db::FeedEvent& event : reader.feed(provider.account, 0, 10'000).events)
            names.emplace_back(event_name(event.event));
        return names;
    }
    void finish(const json& job) {
        const JobId id = *JobId::parse(job["id"].get<std::string>());
        const auto token = std::stoull(job["fencing_token"].get<std::string>());
        market.must<JobAnswer>(StartJob{id, token});
        CompleteJob done;
        done.job = id;
        done.fencing_token = token;
        done.usage = {.completion = 10, .requests = 1};
        done.receipt_hash = std::string(64, 'd');
        done.receipt = "{}";
        CHECK(market.must<JobAnswer>(done).job.state == JobState::completed);
    }

    Principal provider, provider_manager, developer, developer_manager;
    const Principal admin = person(AccountId{1'000}, AccountKind::admin, scope_admin | scope_audit);

private:
    std::string bundle_of(const Machine& machine, const attestation::ReportData& bound) {
        const auto made = make_tdx([&](TdxParts& parts) {
            parts.report.report_data = bound;
            parts.report.mr_td.fill(machine.image);
            parts.pck.ppid.fill(machine.processor);
            if (machine.edit) machine.edit(parts);
        });
        machine.gpu->report.nonce = attestation::gpu_nonce(bound);
        attestation::Bundle bundle;
        bundle.cpu = attestation::TdxPart{made.quote, {}};
        bundle.tdx = made.collateral;
        bundle.gpus = {machine.gpu->evidence()};
        bundle.nvidia = {machine.gpu->manifests(), machine.gpu->ocsp_responses(), {}};
        std::vector<std::string> device_roots = machine.gpu->policy.device_roots;
        for (const auto& gpu : machine.more_gpus) {
            gpu->report.nonce = machine.gpu->report.nonce;
            bundle.gpus.push_back(gpu->evidence());
            for (Bytes& answer : gpu->ocsp_responses())
                bundle.nvidia.ocsp_responses.push_back(std::move(answer));
            device_roots.push_back(gpu->policy.device_roots.front());
        }
        // The operator's file: nothing but the roots of this test.
        attestation::Policy policy;
        policy.tdx.pins = made.policy.pins;
        policy.nvidia.device_roots = std::move(device_roots);
        policy.nvidia.manifest_roots = machine.gpu->policy.manifest_roots;
        const auto read = attestation::parse_policy(attestation::policy_document(policy));
        REQUIRE(read);
        context.evidence_policy = [policy = *read] { return policy; };
        return attestation::write_bundle(bundle);
    }
};

const json image_registers = {{"mrtd", to_hex(Bytes(48, 0x3D))}};
json submission(const json& registers) {
    return {{"kind", "tdx"},
            {"registers", registers},
            {"name", "cocoon-node image"},
            {"version", "1.4"},
            {"source", "https://example.org/image/1.4"}};
}

}  // namespace

TEST_CASE("a node's trust: registered, matched by price, revoked, replaced") {
    Story story;
    const Principal node = story.enrol(), dear = story.enrol();
    Machine machine, other;
    other.processor = 2;
    other.gpu = std::make_shared<GpuMaker>("48B02D0000000002");

    // Proven, but nobody knows the build: what it is, what to do, and whom it may serve.
    const Heard first = story.attest(node, machine);
    REQUIRE(first.status == 200);
    CHECK(first.body["verdict"]["status"] == "proven");
    CHECK(first.body["standing"] == "measurement_pending");
    CHECK(first.body["measurement_id"].is_null());
    CHECK(first.body["registers"]["mrtd"] == image_registers["mrtd"]);
    CHECK(first.body["probation_jobs_left"] == 2);
    const std::string measurement = first.body["verdict"]["measurement"];
    CHECK(first.body["advice"].get<std::string>().find("POST /v1/measurements") !=
          std::string::npos);
    CHECK(first.body["advice"].get<std::string>().find(measurement) != std::string::npos);
    REQUIRE(story.attest(dear, other).status == 200);
    story.offer(node, "1000");
    story.offer(dear, "9000");
    const Heard refused = story.request();
    CHECK(refused.body["code"] == "no_eligible_offer");
    CHECK(refused.body["explanation"]["relaxations"][0]["constraint"] == "measurement_pending");
    CHECK(refused.body["explanation"]["relaxations"][0]["suggestion"] == measurement);
    const Heard named = story.request({{"constraints", {{"measurements", {measurement}}}}});
    REQUIRE(named.status == 201);
    story.finish(named.body["job"]);
    const std::string waiting = story.rest();
    CHECK(story.removed(waiting) == "measurement_pending:2");

    // The register: anyone enrolled asks, everybody reads, only the operator decides.
    CHECK(story.post("/v1/measurements", Principal{}, submission(image_registers)).status == 401);
    CHECK(story.post("/v1/measurements", node, submission(image_registers)).status == 403);
    const Heard entry =
        story.post("/v1/measurements", story.developer_manager, submission(image_registers));
    REQUIRE(entry.status == 201);
    const std::string id = entry.body["id"];
    CHECK(entry.body["state"] == "pending");
    CHECK(entry.body["measurement"].is_null());  // it leaves registers open
    CHECK(story.node_json(node)["measurement_id"] == id);
    const Heard again = story.post("/v1/measurements", story.provider, submission(image_registers));
    CHECK(again.body["code"] == "already_exists");
    CHECK(again.body["detail"].get<std::string>().find(id) != std::string::npos);
    CHECK(story
              .post("/v1/admin/measurements/" + id + ":approve", story.developer_manager,
                    {{"reason", "mine"}})
              .status == 403);
    CHECK(story.post("/v1/admin/measurements/" + id + ":approve", story.admin, {{"reason", ""}})
              .status == 422);
    CHECK(story.decide("meas_99", "approve", "x").status == 404);
    const Heard approved = story.decide(id, "approve", "rebuilt from the tag");
    CHECK(approved.body["state"] == "approved");
    CHECK(approved.body["decided_by"] == "operator");
    for (const char* list : {"/v1/measurements", "/v1/measurements?state=approved&limit=1"})
        CHECK(story.get(list, Principal{}).body["items"][0]["reason"] == "rebuilt from the tag");
    CHECK(story.get("/v1/measurements?state=revoked", Principal{}).body["items"].empty());
    const json whole = story.get("/v1/measurements/" + id, Principal{}).body;
    CHECK(whole["source"] == "https://example.org/image/1.4");
    CHECK(whole["submitter"] == story.developer_manager.account.text());
    // Both machines run it: so many would leave.
    CHECK(whole["nodes"] == json{{"attested", 2}, {"connected", 2}});
    const auto count = [&](const std::string& query, const Principal& who) {
        return story.get("/v1/measurements?" + query, who).body["items"].size();
    };
    const std::string mrtd = image_registers["mrtd"];
    CHECK(count("kind=tdx&register=" + mrtd, Principal{}) == 1);
    CHECK(count("kind=snp", Principal{}) == 0);
    CHECK(count("register=" + std::string(96, '0'), Principal{}) == 0);
    CHECK(count("mine=true", story.developer_manager) == 1);
    CHECK(count("mine=true", story.provider_manager) == 0);
    CHECK(story.get("/v1/measurements?mine=true", Principal{}).status == 401);
    CHECK(story.get("/v1/measurements?register=x", Principal{}).status == 422);
    for (const char* list : {"/v1/network/nodes?measurement_id=", "/v1/nodes?measurement_id="}) {
        CHECK(story.get(list + id, story.provider).body["items"].size() == 2);
        CHECK(story.get(list + std::string{"meas_99"}, story.provider).body["items"].empty());
        CHECK(story.get(list + std::string{"node_1"}, story.provider).status == 422);
    }

    // Matched by price; the request that waited went to the cheap one in the same command.
    const Heard served = story.get("/v1/requests/" + waiting, story.developer);
    REQUIRE(served.body["request"]["state"] == "matched");
    CHECK(served.body["job"]["node"] == node.node.text());
    story.finish(served.body["job"]);
    CHECK(story.node_json(node)["probation_jobs_left"] == 0);
    const Heard running = story.request();
    CHECK(running.body["job"]["node"] == node.node.text());
    story.market.must<JobAnswer>(
        StartJob{*JobId::parse(running.body["job"]["id"].get<std::string>()),
                 std::stoull(running.body["job"]["fencing_token"].get<std::string>())});

    // Revoked: its machines are out at once, the one that has another build stays.
    REQUIRE(story
                .attest(dear,
                        [&] {
                            Machine fresh = other;
                            fresh.image = 0x4E;
                            return fresh;
                        }())
                .body["standing"] == "measurement_pending");
    CHECK(story.decide(id, "revoke", "writes prompts to its log").body["state"] == "revoked");
    const json history = story.get("/v1/measurements/" + id, Principal{}).body["history"];
    REQUIRE(history.size() == 2);
    CHECK(history[0]["to"] == "approved");
    CHECK(history[1]["from"] == "approved");
    CHECK(history[1]["to"] == "revoked");
    CHECK(history[1]["reason"] == "writes prompts to its log");
    const json out = story.node_json(node);
    CHECK(out["standing"] == "measurement_revoked");
    CHECK(out["standing_reason"] == "writes prompts to its log");
    CHECK(out["available"] == false);
    CHECK(story.get("/v1/markets/inference:m/ticker", Principal{}).body["best_price"].is_null());
    const std::string unserved = story.rest();
    CHECK(story.removed(unserved) == "measurement_revoked:1 measurement_pending:1");
    const Heard ends =
        story.get("/v1/jobs/" + running.body["job"]["id"].get<std::string>(), story.developer);
    CHECK(ends.body["state"] == "running");
    const std::vector<std::string> told = story.told_to_provider();
    CHECK(std::count(told.begin(), told.end(), "node.standing") >= 4);
    const Heard shown = story.attest(node, machine);
    CHECK(shown.body["standing"] == "measurement_revoked");
    CHECK(shown.body["advice"].get<std::string>().find(id) != std::string::npos);

    // Another build, approved beforehand: the verdict alone brings the node back.
    const json next = {{"mrtd", to_hex(Bytes(48, 0x5F))}};
    const Heard second = story.post("/v1/measurements", story.provider, submission(next));
    story.decide(second.body["id"], "approve", "rebuilt");
    machine.image = 0x5F;
    const Heard back = story.attest(node, machine);
    CHECK(back.body["standing"] == "good");
    CHECK(back.body["advice"].is_null());
    CHECK(story.get("/v1/requests/" + unserved, story.developer).body["request"]["state"] ==
          "matched");
    CHECK(story.get("/v1/admin/audit", story.admin).body["items"][0]["action"] ==
          "approve_measurement");
}

TEST_CASE("one machine is one node, until the old node is retired or its evidence has ended") {
    Story story;
    story.market.must<Done>(SetTrustRule{{0, 0}, "any build"});
    const Principal node = story.enrol(), twin = story.enrol();
    Machine machine;
    REQUIRE(story.attest(node, machine).body["standing"] == "good");
    const auto refused = [&](const Machine& shown) {
        const Heard heard = story.attest(twin, shown);
        CHECK(heard.body["detail"].get<std::string>().find(node.node.text()) != std::string::npos);
        return heard.body["code"];
    };
    CHECK(refused(machine) == "platform_in_use");
    Machine same_gpu = machine;  // another processor, the same GPU
    same_gpu.processor = 9;
    CHECK(refused(same_gpu) == "platform_in_use");
    Machine same_processor;  // the other way round
    same_processor.gpu = std::make_shared<GpuMaker>("48B02D0000000077");
    CHECK(refused(same_processor) == "platform_in_use");
    CHECK(story.post("/v1/nodes/" + node.node.text() + ":retire", twin).status == 403);
    CHECK(story.post("/v1/nodes/" + node.node.text() + ":retire", story.provider).status == 204);
    CHECK(story.node_json(node)["retired"] == true);
    CHECK(story.attest(twin, machine).body["standing"] == "good");
    const Principal third = story.enrol();
    CHECK(story.attest(third, machine).body["code"] == "platform_in_use");
    // Its evidence ended, and nothing newer came.
    story.market.now = story.market.now + hours(13);
    CHECK(story.attest(third, machine).status == 200);
}

TEST_CASE("denied hardware is out at once and back when the denial is lifted") {
    Story story;
    story.market.must<Done>(SetTrustRule{{0, 0}, "any build"});
    const Principal node = story.enrol();
    const Heard good = story.attest(node, Machine{});
    REQUIRE(good.body["standing"] == "good");
    story.offer(node, "1000");
    const std::tuple<const char*, std::string> rows[] = {
        {"gpu", good.body["verdict"]["devices"][0]},
        {"cpu", good.body["verdict"]["platform_id"]},
        {"fmspc", good.body["verdict"]["family"]},
    };
    for (const auto& [kind, value] : rows) {
        INFO(kind);
        const json body{{"kind", kind}, {"value", value}, {"reason", "extracted"}};
        CHECK(story.post("/v1/admin/denials", story.provider, body).status == 403);
        const Heard denied = story.post("/v1/admin/denials", story.admin, body);
        REQUIRE(denied.status == 201);
        CHECK(story.node_json(node)["standing"] == "platform_denied");
        CHECK(story.get("/v1/nodes/" + node.node.text(), story.developer)
                  .body.contains("standing_reason") == false);
        CHECK(story.removed(story.rest()) == "platform_denied:1");
        CHECK(story.attest(node, Machine{}).body["standing"] == "platform_denied");
        CHECK(story.get("/v1/admin/denials", story.admin).body["items"].size() == 1);
        const std::string lift =
            "/v1/admin/denials/" + denied.body["id"].get<std::string>() + ":lift";
        CHECK(story.post(lift, story.admin, {{"reason", "replaced"}}).status == 204);
        CHECK(story.post(lift, story.admin, {{"reason", "replaced"}}).status == 404);
        CHECK(story.node_json(node)["standing"] == "good");
    }
    for (const json& wrong : {json{{"kind", "cpu"}, {"value", "abc"}, {"reason", "x"}},
                              json{{"kind", "fmspc"}, {"value", "90C06F000000"}, {"reason", "x"}},
                              json{{"kind", "rack"}, {"value", "7"}, {"reason", "x"}},
                              json{{"kind", "gpu"}, {"value", "7"}}})
        CHECK(story.post("/v1/admin/denials", story.admin, wrong).status == 422);
}

TEST_CASE("a node shows as many GPUs as it was enrolled with") {
    Story story;
    story.market.must<Done>(SetTrustRule{{0, 0}, "any build"});
    const Principal node = story.enrol();
    Machine machine;
    machine.more_gpus = {std::make_shared<GpuMaker>("48B02D0000000002")};
    CHECK(story.attest(node, machine).body["standing"] == "good");  // enrolled with one
    const Principal pair = story.enrol(2);
    machine = {};
    machine.processor = 8;
    machine.gpu = std::make_shared<GpuMaker>("48B02D0000000008");
    const Heard fewer = story.attest(pair, machine);
    CHECK(fewer.status == 412);
    CHECK(fewer.body["errors"][0]["path"] == "/evidence");
    CHECK(fewer.text.find("gpu_count: 1 of the 2") != std::string::npos);
    machine.more_gpus = {std::make_shared<GpuMaker>("48B02D0000000009")};
    CHECK(story.attest(pair, machine).body["standing"] == "good");
}
