#!/usr/bin/env python3
"""The commit was stored, but its answer never arrived: a proxy between caller and market cuts the connection
once the market has answered. Whoever asks again with the same Idempotency-Key gets the one answer there is."""

import http.client
import json
import random
import select
import socket
import sys
import threading
import uuid

from harness import BINARIES, Api, World, expect, expect_equal, run, stack, wait_for
from stack import Program

MODEL = "demo-model"


class CuttingProxy:
    """Passes bytes both ways. Armed with the beginning of a request ("POST /v1/requests "), it swallows the
    market's answer to the next such request and cuts both connections: the market has done its work."""

    def __init__(self, port):
        self.target = ("127.0.0.1", port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.cut_next = None
        self.swallowed = []
        threading.Thread(target=self.accept, daemon=True).start()

    def arm(self, beginning):
        with self.lock:
            self.cut_next = beginning.encode()

    def accept(self):
        while True:
            caller, _ = self.listener.accept()
            threading.Thread(target=self.carry, args=(caller,), daemon=True).start()

    def carry(self, caller):
        with caller, socket.create_connection(self.target) as market:
            asked, cutting = b"", False
            while True:
                for ready in select.select([caller, market], [], [])[0]:
                    try:
                        data = ready.recv(1 << 16)
                    except OSError:
                        return
                    if not data:
                        return
                    if ready is caller:
                        asked += data
                        with self.lock:
                            if self.cut_next and self.cut_next in asked:
                                cutting, self.cut_next = True, None
                        market.sendall(data)
                    elif cutting:  # the market answers after its commit
                        with self.lock:
                            self.swallowed.append(data)
                        return
                    else:
                        asked = b""
                        try:
                            caller.sendall(data)
                        except OSError:
                            return


def tests(world):
    proxy = CuttingProxy(world.demo.ports.market)

    def through(key):
        return Api(proxy.url, key)

    def cut(api, method, path, body, key):
        proxy.arm(f"{method} {path} ")
        lost = len(proxy.swallowed)
        try:
            answer = api.call(method, path, body, idempotency_key=key)
        except Exception:  # however Python names a connection that ends without an answer
            answer = None
        expect(answer is None, f"the answer was lost: {answer!r}")
        expect_equal(len(proxy.swallowed), lost + 1, "answers swallowed by the proxy")
        return proxy.swallowed[-1]

    def body_of(swallowed):
        return json.loads(swallowed.split(b"\r\n\r\n", 1)[1])

    def count(table, where="true"):
        return int(world.database.psql(f"select count(*) from {table} where {where}")[0][0])

    def in_journal(text):
        return count("journal", f"position(convert_to('{text}', 'UTF8') in body) > 0")

    def an_order_is_placed_once():
        key = str(uuid.uuid4())
        body = {"market": f"inference:{MODEL}", "constraints": {"tiers": ["simulated"]}, "job_seconds": 60,
                "time_in_force": "immediate",
                "quantity": {"prompt_tokens": 10, "completion_tokens": 10, "requests": 1}}
        held = int(world.developer.must("GET", "/v1/account/balance")["held_nano"])
        lost = body_of(cut(through(world.developer.key), "POST", "/v1/requests", body, key))
        once = int(world.developer.must("GET", "/v1/account/balance")["held_nano"])
        expect(once > held, "the lost order holds its money")
        for _ in range(3):
            again = through(world.developer.key).post("/v1/requests", body, idempotency_key=key)
            expect_equal(again.status, 201, repr(again))
            expect_equal(again.headers["Idempotency-Replayed"], "true", repr(again))
            expect_equal(again.json["job"], lost["job"], "the job that was never heard of")
            expect_equal(again.json["request"]["id"], lost["request"]["id"], "its request")
        expect_equal(int(world.developer.must("GET", "/v1/account/balance")["held_nano"]), once, "held once")
        expect_equal(in_journal(key), 1, "commits that name the key")
        other = through(world.developer.key).post("/v1/requests", {**body, "job_seconds": 61}, idempotency_key=key)
        expect_equal(other.status, 422, repr(other))
        world.developer.must("DELETE", f"/v1/jobs/{lost['job']['id']}")

    def a_refusal_is_the_same_refusal():
        key = str(uuid.uuid4())
        body = {"market": f"inference:{MODEL}", "constraints": {"tiers": ["simulated"]}, "job_seconds": 60,
                "time_in_force": "immediate", "cap_total_nano": "1",
                "quantity": {"prompt_tokens": 10, "completion_tokens": 10, "requests": 1}}
        lost = body_of(cut(through(world.developer.key), "POST", "/v1/requests", body, key))
        again = through(world.developer.key).post("/v1/requests", body, idempotency_key=key)
        expect_equal(again.json["code"], lost["code"], repr(again))
        expect_equal(again.json["request"]["id"], lost["request"]["id"], "one request was refused, not two")

    def a_payout_is_asked_for_once():
        world.developer_manager.must("PATCH", "/v1/account", {"payout_address": "dev:lost-answer"})
        key, payouts = str(uuid.uuid4()), count("payouts")
        body = {"source": "available", "amount_nano": "7000000"}
        lost = body_of(cut(through(world.developer_manager.key), "POST", "/v1/payouts", body, key))
        again = through(world.developer_manager.key).post("/v1/payouts", body, idempotency_key=key)
        expect_equal(again.status, 201, repr(again))
        expect_equal(again.json["id"], lost["id"], "the payout")
        listed = world.developer_manager.must("GET", "/v1/payouts")["items"]
        expect_equal(len(listed), payouts + 1, "payouts")

    def an_account_is_opened_once():
        key = str(uuid.uuid4())
        body = {"kind": "developer", "name": "Lost in Transit", "profile": {
            "models": [MODEL], "daily_requests": 1, "input_tokens_average": 1, "output_tokens_average": 1}}
        lost = body_of(cut(through(None), "POST", "/v1/accounts", body, key))
        again = through(None).post("/v1/accounts", body, idempotency_key=key)
        expect_equal(again.status, 201, repr(again))
        expect_equal(again.json["account"]["id"], lost["account"]["id"], "the account")
        # Its secrets were in the answer that was lost, and are in no other.
        expect_equal(again.json["work_key"]["secret"], None, "the secret of a replay")

    def strangers_keep_their_keys_to_themselves():
        key = "the same key"
        bodies = [{"kind": "developer", "name": name, "profile": {
            "models": [MODEL], "daily_requests": 1, "input_tokens_average": 1, "output_tokens_average": 1}}
            for name in ("Ada", "Grace")]

        def sign_up(body, address):
            connection = http.client.HTTPConnection("127.0.0.1", world.demo.ports.market, timeout=30,
                                                    source_address=(address, 0))
            connection.request("POST", "/v1/accounts", json.dumps(body),
                               {"Content-Type": "application/json", "Idempotency-Key": key})
            response = connection.getresponse()
            answer = json.loads(response.read())
            connection.close()
            return response.status, answer

        status, ada = sign_up(bodies[0], "127.0.0.2")
        expect_equal(status, 201, repr(ada))
        status, grace = sign_up(bodies[1], "127.0.0.3")
        expect_equal(status, 201, "another stranger with the same key: " + repr(grace))
        expect(grace["work_key"]["secret"], "and an account of one's own")
        status, again = sign_up(bodies[0], "127.0.0.2")
        expect_equal((status, again["account"]["id"]), (201, ada["account"]["id"]), "Ada asks again")
        status, other = sign_up(bodies[1], "127.0.0.2")
        expect_equal((status, other["code"]), (422, "idempotency_key_reused"), "Ada's key for something else")
        status, ada_too = sign_up(bodies[0], "127.0.0.3")
        expect_equal((status, ada_too["code"]), (422, "idempotency_key_reused"), "Grace's key for something else")
        for told in ("same key", "127.0.0.2", "127.0.0.3"):
            expect_equal(in_journal(told), 0, f"commits that name a stranger's {told}")
        expect(in_journal("Ada") > 0, "commits that name Ada, who signed up")

    def the_sidecar_asks_again_by_itself():
        home = world.home / "demo"
        config = json.loads((home / "client.json").read_text())
        port = stack.free_port()
        config.update(market_url=proxy.url, listen=f"127.0.0.1:{port}", receipts_directory="receipts-lost")
        (home / "client-lost.json").write_text(json.dumps(config))
        program = Program("cocoon-client-lost", [BINARIES / "cocoon-client", "serve", "--config",
                                                 home / "client-lost.json"], world.demo.run)
        program.start()
        try:
            client = Api(f"http://127.0.0.1:{port}")
            program.wait_until("the client behind the proxy", lambda: client.up("/v1/models"))
            completed = count("jobs", "state = 'completed'")
            proxy.arm("POST /v1/requests ")
            lost = len(proxy.swallowed)
            answer = client.call("POST", "/v1/chat/completions", {
                "model": MODEL, "max_tokens": 8, "messages": [{"role": "user", "content": "Once, please."}]},
                timeout=60)
            expect_equal(answer.status, 200, repr(answer))
            expect_equal(len(proxy.swallowed), lost + 1, "answers swallowed by the proxy")
            job = body_of(proxy.swallowed[-1])["job"]["id"]
            expect_equal(answer.headers["X-Cocoon-Job"], job, "the job whose answer was lost is the one that ran")
            expect_equal(world.developer.must("GET", f"/v1/jobs/{job}")["state"], "completed", job)
            expect_equal(count("jobs", "state = 'completed'"), completed + 1, "jobs that ran")
        finally:
            program.stop()

    def a_hang_up_holds_nothing():
        """Bug: a hang-up that met the market before the exchange began there left slot and money held for 300 s."""
        body = json.dumps({"model": MODEL, "max_tokens": 16, "messages": [{"role": "user", "content": "Never mind."}]})
        head = (f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{world.demo.ports.client}\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n")
        chance = random.Random(7)

        def call_and_hang_up():
            for _ in range(60):
                with socket.create_connection(("127.0.0.1", world.demo.ports.client)) as caller:
                    caller.sendall((head + body).encode())
                    caller.settimeout(chance.uniform(0.001, 0.06))
                    try:
                        caller.recv(1 << 16)
                    except OSError:
                        pass
        callers = [threading.Thread(target=call_and_hang_up) for _ in range(8)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join()
        wait_for("every abandoned job to end", lambda: count("jobs", "ended_at is null") == 0, 20)
        expect_equal(world.developer.must("GET", "/v1/account/balance")["held_nano"], "0", "nothing is held")

    def the_books_balance_and_replay():
        world.demo.market().stop()
        for command in ("check", "replay"):
            status, output = world.command(command)
            expect_equal(status, 0, output)

    return [(function.__name__.replace("_", " "), function) for function in (
        an_order_is_placed_once, a_refusal_is_the_same_refusal, a_payout_is_asked_for_once,
        an_account_is_opened_once, strangers_keep_their_keys_to_themselves,
        the_sidecar_asks_again_by_itself, a_hang_up_holds_nothing, the_books_balance_and_replay)]


if __name__ == "__main__":
    with World("lost_answer") as the_world:
        status = run(tests(the_world))
    sys.exit(status)
