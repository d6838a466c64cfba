#!/usr/bin/env python3
"""The main job by the real programs: an OpenAI client to the sidecar, the market, a node, an engine and
back; then what each person does next to it. One world, told in order."""

import json
import os
import signal
import subprocess
import threading
import time
import uuid

from harness import Api, ROOT, World, expect, expect_equal, expect_refusal, run, wait_for

MODEL = "demo-model"
MARKET = f"inference:{MODEL}"
MARKET_PATH = f"/v1/markets/inference%3A{MODEL}"


def chat(client, text="Hello there", **extra):
    body = {"model": MODEL, "max_tokens": 24, "messages": [{"role": "user", "content": text}], **extra}
    return client.call("POST", "/v1/chat/completions", body, timeout=60)


def balance(api):
    answer = api.must("GET", "/v1/account/balance")
    return {name: int(answer[name]) for name in ("available_nano", "held_nano", "earned_nano", "paying_nano")}


def work(**extra):
    return {"market": MARKET, "quantity": {"prompt_tokens": 100, "completion_tokens": 100, "requests": 1},
            "constraints": {"tiers": ["simulated"]}, "time_in_force": "immediate", **extra}


def story(world):
    def first_job_is_paid_and_receipted():
        before, earned = balance(world.developer), balance(world.provider)["earned_nano"]
        answer = chat(world.client)
        expect_equal(answer.status, 200, repr(answer))
        usage = answer.json["usage"]
        cost = int(usage["cost_nano"])
        after = balance(world.developer)
        expect(cost > 0, "the job has a price")
        expect_equal(before["available_nano"] - after["available_nano"], cost, "what the developer paid")
        expect_equal(after["held_nano"], 0, "nothing stays held")
        fee = cost * 500 // 10_000
        # The provider was not part of this call: its tables may be a moment behind.
        wait_for("the provider's earnings", lambda: balance(world.provider)["earned_nano"] == earned + cost - fee, 5)
        job = answer.headers["X-Cocoon-Job"]
        row = world.developer.must("GET", f"/v1/jobs/{job}")
        expect_equal(row["state"], "completed", "the job's state")
        expect_equal(row["captured_nano"], str(cost), "captured")
        receipt = world.developer.must("GET", f"/v1/jobs/{job}/receipt")
        expect(receipt["receipt"]["signature"] and receipt["cosignature"]["signature"], "signed by both")

    def the_cheaper_node_wins():
        nodes = {}
        for _ in range(3):
            job = world.developer.must("GET", "/v1/jobs/" + chat(world.client).headers["X-Cocoon-Job"])
            nodes[job["node"]] = job["price"]["completion_nano_per_mtok"]
        expect_equal(set(nodes.values()), {"60000000"}, "price of the winners")

    def openai_sdk_passes_unchanged():
        done = subprocess.run(
            ["node", "--test", "openai.test.mjs"], cwd=ROOT / "tests/e2e/openai", text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, env={
                **os.environ, "COCOON_BASE_URL": world.demo.client_url + "/v1", "COCOON_MODEL": MODEL,
                "COCOON_MARKET_URL": world.demo.market_url,
                "COCOON_WORK_KEY": world.demo.state["developer"]["work_key"],
                "COCOON_CLIENT_BINARY": str(world.demo.binaries / "cocoon-client")})
        print(done.stdout[-6000:])
        expect(done.returncode == 0, "node --test openai.test.mjs failed")

    def placing_is_idempotent():
        key = str(uuid.uuid4())
        before = balance(world.developer)["held_nano"]
        first = world.developer.post("/v1/requests", work(), idempotency_key=key)
        again = world.developer.post("/v1/requests", work(), idempotency_key=key)
        expect_equal(first.status, 201, repr(first))
        expect_equal(again.json["job"]["id"], first.json["job"]["id"], "the same job")
        expect_equal(again.headers["Idempotency-Replayed"], "true", "says that it is a replay")
        other = world.developer.post("/v1/requests", work(slots=2), idempotency_key=key)
        expect_refusal(other, 422, "idempotency_key_reused")
        held = balance(world.developer)["held_nano"] - before
        expect_equal(held, int(first.json["job"]["hold_nano"]), "one hold")
        world.developer.must("DELETE", f"/v1/jobs/{first.json['job']['id']}")
        expect_equal(balance(world.developer)["held_nano"], before, "released at once")

    def refusals_have_reasons():
        dear = world.developer.post("/v1/requests", work(cap_total_nano="1"))
        expect_refusal(dear, 503, "price_cap_too_low")
        expect(dear.headers["Retry-After"], "Retry-After on 503")
        expect(dear.json["explanation"]["relaxations"], "the nearest relaxation is named")
        strict = work()
        strict["constraints"] = {"tiers": ["tdx+gpu-cc"]}
        expect_refusal(world.developer.post("/v1/requests", strict), 503, "no_eligible_offer")
        unknown = work(market="inference:no-such-model")
        expect_refusal(world.developer.post("/v1/requests", unknown), 404, "unknown_market")
        what_if = world.developer.post("/v1/requests:whatif", strict)
        expect_equal(what_if.status, 200, repr(what_if))
        removed = [item["constraint"] for item in what_if.json["explanation"]["removed"]]
        expect("tier" in removed, f"the tier removed them: {removed}")

    def resting_request_meets_a_new_offer():
        held = balance(world.developer)["held_nano"]
        resting = world.developer.post("/v1/requests", work(
            time_in_force="rest", rest_until=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 600)),
            cap_price={"completion_nano_per_mtok": "1000"}))
        expect_equal(resting.status, 201, repr(resting))
        expect_equal(resting.json["request"]["state"], "resting", "state")
        identity = resting.json["request"]["id"]
        why = world.developer.must("GET", f"/v1/requests/{identity}/explain")
        expect(any(item["constraint"] == "price_dimension" for item in why["explanation"]["removed"]), f"{why}")
        expect_equal(balance(world.developer)["held_nano"], held, "a resting request holds nothing")
        node = world.provider.must("GET", "/v1/nodes")["items"][0]["id"]
        offer = world.provider.post("/v1/offers", {
            "node": node, "market": MARKET, "slots": 1, "price": {"completion_nano_per_mtok": "900"}})
        expect_equal(offer.status, 201, repr(offer))

        # The developer was not part of the provider's call: its tables may be a moment behind.
        def matched():
            return world.developer.must("GET", f"/v1/requests/{identity}")["request"]["state"] == "matched"
        wait_for("the new price to meet it", matched, 5)
        world.developer.must("DELETE", f"/v1/requests/{identity}")
        etag = world.provider.get(f"/v1/offers/{offer.json['id']}").headers["ETag"]
        gone = world.provider.call("DELETE", f"/v1/offers/{offer.json['id']}", headers={"If-Match": etag})
        expect(gone.status in (200, 204), repr(gone))

    def batch_placing_answers_each():
        good, bad = work(), work(market="inference:no-such-model")
        answer = world.developer.post("/v1/requests:batch", {"requests": [good, bad, good]})
        expect_equal(answer.status, 200, repr(answer))
        statuses = [result["status"] for result in answer.json["results"]]
        expect_equal(statuses, [201, 404, 201], "statuses in order")
        for result in answer.json["results"]:
            if result["status"] == 201:
                world.developer.must("DELETE", f"/v1/jobs/{result['job']['id']}")

    def the_market_refuses_what_is_not_sealed():
        placed = world.developer.must("POST", "/v1/requests", work())
        job = placed["job"]
        answer = world.developer.call("POST", f"/v1/jobs/{job['id']}/exchange", b'{"messages":"plain"}', headers={
            "Content-Type": "application/json", "Cocoon-Fencing-Token": job["fencing_token"], "Cocoon-Terms": "e30"})
        expect(answer.status in (400, 415), repr(answer))
        sealed_type = world.developer.call("POST", f"/v1/jobs/{job['id']}/exchange", b"{" * 200, headers={
            "Content-Type": "message/ohttp-chunked-req", "Cocoon-Fencing-Token": job["fencing_token"],
            "Cocoon-Terms": "e30"})
        expect(sealed_type.status in (400, 409, 422), repr(sealed_type))
        world.developer.must("DELETE", f"/v1/jobs/{job['id']}")

    def another_tenant_sees_nothing():
        other = world.market.must("POST", "/v1/accounts", {"kind": "developer", "name": "Eve", "profile": {
            "models": [MODEL], "daily_requests": 1, "input_tokens_average": 1, "output_tokens_average": 1}})
        eve = Api(world.demo.market_url, other["work_key"]["secret"])
        job = world.developer.must("GET", "/v1/jobs")["items"][0]["id"]
        for path in (f"/v1/jobs/{job}", f"/v1/jobs/{job}/receipt"):
            expect_refusal(eve.get(path), 404, "not_found")
        expect_refusal(eve.call("DELETE", f"/v1/jobs/{job}"), 404, "not_found")
        expect_refusal(eve.post("/v1/requests", work()), 402, "insufficient_funds")
        expect_refusal(Api(world.demo.market_url, other["management_key"]["secret"]).post("/v1/requests", work()),
                       403, "forbidden")
        expect_refusal(eve.get("/v1/admin/overview"), 403, "forbidden")
        expect_refusal(Api(world.demo.market_url, "ck_" + "A" * 43).get("/v1/account"), 401, "unauthenticated")

    def drained_node_gets_no_work_and_resumes():
        nodes = world.provider.must("GET", "/v1/nodes")["items"]
        cheap = next(node["id"] for node in nodes if node["name"] == "node-a")
        world.provider.must("POST", f"/v1/nodes/{cheap}:drain", {})
        job = world.developer.must("GET", "/v1/jobs/" + chat(world.client).headers["X-Cocoon-Job"])
        expect(job["node"] != cheap, "the drained node was passed over")
        world.provider.must("POST", f"/v1/nodes/{cheap}:resume", {})
        job = world.developer.must("GET", "/v1/jobs/" + chat(world.client).headers["X-Cocoon-Job"])
        expect_equal(job["node"], cheap, "and is back")

    def a_killed_node_loses_no_job():
        world.demo.node("node-a").kill()
        answer = chat(world.client, "still there?")
        expect_equal(answer.status, 200, repr(answer))
        world.demo.node("node-a").start()

        def back():
            nodes = world.provider.must("GET", "/v1/nodes")["items"]
            return all(node["connected"] for node in nodes)
        wait_for("node-a to reconnect", back, 60)

    def hang_up_frees_the_slot():
        def open_jobs():
            return [job for job in world.developer.must("GET", "/v1/jobs")["items"]
                    if job["state"] in ("reserved", "running")]
        wait_for("every earlier job to end", lambda: not open_jobs(), 20)
        import http.client
        connection = http.client.HTTPConnection("127.0.0.1", world.demo.ports.client, timeout=30)
        connection.request("POST", "/v1/chat/completions", json.dumps({
            "model": MODEL, "stream": True, "max_tokens": 4000,
            "messages": [{"role": "user", "content": "a very long story please " * 200}]}),
            {"Content-Type": "application/json"})
        response = connection.getresponse()
        response.read(200)
        connection.sock.close() if connection.sock else response.close()
        connection.close()
        response.close()
        wait_for("the job to end after the hang-up", lambda: not open_jobs(), 20)
        expect_equal(balance(world.developer)["held_nano"], 0, "its hold was released")

    def provider_is_paid_out():
        account = world.provider_manager.call("PATCH", "/v1/account", {
            "payout_address": "UQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAJKZ"})
        expect(account.status in (200, 204), repr(account))
        earned = balance(world.provider)["earned_nano"]
        payout = world.provider_manager.post("/v1/payouts", {"amount_nano": str(earned), "source": "earned"})
        expect(payout.status in (201, 202), repr(payout))

        def paid():
            rows = world.provider_manager.must("GET", "/v1/payouts")["items"]
            return rows and rows[0]["state"] == "paid"
        wait_for("the payout on the development chain", paid, 60)
        after = balance(world.provider)
        expect_equal((after["earned_nano"], after["paying_nano"]), (0, 0), "all of it left the books")

    def public_market_data_is_open():
        for path in ("/v1/models", "/v1/markets", MARKET_PATH, MARKET_PATH + "/book", MARKET_PATH + "/ticker",
                     MARKET_PATH + "/trades", MARKET_PATH + "/candles?interval=1m", MARKET_PATH + "/prices",
                     MARKET_PATH + "/demand", "/version", "/livez", "/readyz", "/metrics", "/openapi.json", "/docs"):
            answer = world.market.get(path)
            expect_equal(answer.status, 200, path)
        trades = world.market.must("GET", MARKET_PATH + "/trades")["items"]
        expect(trades, "trades are public")
        expect("account" not in json.dumps(trades), "and say nothing about who bought")

    def events_arrive_by_sse():
        import http.client
        connection = http.client.HTTPConnection("127.0.0.1", world.demo.ports.market, timeout=20)
        connection.request("GET", "/v1/events", headers={
            "Authorization": f"Bearer {world.developer.key}", "Accept": "text/event-stream"})
        response = connection.getresponse()
        expect_equal(response.status, 200, "SSE")
        seen = []

        def read():
            while not any(line.startswith("id: ") for line in seen):
                line = response.readline().decode()
                if not line:
                    return
                seen.append(line)
        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        chat(world.client)
        reader.join(15)
        expect(any(line.startswith("id: ") for line in seen), f"events with ids: {seen[:8]}")
        connection.close()

    def the_books_balance_and_replay():
        world.demo.market().signal(signal.SIGTERM)
        wait_for("a graceful stop", world.demo.market().gone, 30)
        status, output = world.command("check")
        expect_equal(status, 0, output)
        status, output = world.command("replay")
        expect_equal(status, 0, output)
        world.demo.start_market()
        answer = world.client.post("/v1/chat/completions", {
            "model": MODEL, "max_tokens": 8, "messages": [{"role": "user", "content": "after a restart"}]}, timeout=60)
        if answer.status == 503:  # the nodes reconnect with a backoff
            wait_for("the nodes to come back", lambda: chat(world.client).status == 200, 40)

    return [(name.replace("_", " "), function) for name, function in locals().items() if callable(function)]


if __name__ == "__main__":
    import sys
    with World("story") as the_world:
        status = run(story(the_world))
    sys.exit(status)
