#!/usr/bin/env python3
"""A node's trust by the real market: evidence of machines with a TEE (made by evidence_maker under a PKI of its
own, which the operator's policy file pins), the register of builds, revocation, a restart, one machine as one node,
and a vendor (Intel's service as recorded, on loopback) that changes its mind or is down."""

import base64
import http.client
import http.server
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
import urllib.parse

from harness import Api, BINARIES, World, expect, expect_equal, expect_refusal, run, wait_for

MARKET = "inference:attested"


class Rack:
    """The machines' hardware: evidence_maker, one process for one PKI."""

    def __init__(self):
        self.process = subprocess.Popen([BINARIES / "evidence_maker"], text=True, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
        self.policy = json.loads(self.process.stdout.readline())

    def ask(self, **wanted):
        self.process.stdin.write(json.dumps(wanted) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def evidence(self, **machine):
        return self.ask(**machine)

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)


class Vendor:
    """Intel's collateral service: what the rack's PKI publishes at an edition, or nothing but 503."""

    def __init__(self, rack):
        vendor = self
        self.rack, self.down, self.served, self.asked = rack, False, {}, []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                vendor.asked.append(self.path)
                found = None if vendor.down else vendor.served.get(self.path)
                self.send_response(503 if vendor.down else 200 if found else 404)
                header, chain, body = found or ("", "", "")
                if header:
                    self.send_header(header, urllib.parse.quote(chain))
                body = base64.b64decode(body)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def publish(self, edition):
        self.served = self.rack.ask(vendor=edition)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Events:
    """What the provider's feed tells from now on."""

    def __init__(self, world):
        self.connection = http.client.HTTPConnection("127.0.0.1", world.demo.ports.market, timeout=60)
        self.connection.request("GET", "/v1/events", headers={
            "Authorization": f"Bearer {world.provider.key}", "Accept": "text/event-stream"})
        self.response = self.connection.getresponse()
        self.seen = []
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        name = ""
        try:
            while line := self.response.readline().decode():
                if line.startswith("event: "):
                    name = line[7:].strip()
                if line.startswith("data: "):
                    self.seen.append((name, json.loads(line[6:])))
        except (OSError, ValueError, AttributeError):
            pass  # closed

    def of(self, node):
        return [(name, data) for name, data in list(self.seen) if node.id in json.dumps(data)]

    def wait(self, node, name):
        wait_for(f"{name} of {node.id}", lambda: any(seen == name for seen, _ in self.of(node)), 30)
        return next(data for seen, data in self.of(node) if seen == name)

    def close(self):
        self.connection.close()


class Node:
    """A node of the world's provider: its key, its machine, and its connection to the relay."""

    def __init__(self, world, rack, **machine):
        self.world, self.rack, self.machine, self.socket = world, rack, machine, None
        token = world.provider.must("POST", "/v1/nodes/enrolments", {})["token"]
        made = world.market.must("POST", "/v1/nodes:enrol", {
            "token": token, "name": "rack", "region": "eu-west", "country": "NL", "gpu_model": "H100",
            "gpu_count": 1})
        self.id, self.key = made["node"]["id"], made["key"]["secret"]
        self.api = Api(world.demo.market_url, self.key)

    def attest(self, **change):
        self.machine.update(change)
        nonce = self.api.must("POST", f"/v1/nodes/{self.id}/challenge", {})["nonce"]
        return self.api.post(f"/v1/nodes/{self.id}/evidence", self.rack.evidence(nonce=nonce, **self.machine))

    def connect(self):
        """Says hello to the relay and stays: RFC 6455 by hand, no more than presence needs."""
        self.close()
        connection = socket.create_connection(("127.0.0.1", self.world.demo.ports.market), timeout=10)
        key = base64.b64encode(os.urandom(16)).decode()
        connection.sendall((f"GET /v1/relay HTTP/1.1\r\nHost: market\r\nAuthorization: Bearer {self.key}\r\n"
                            f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                            f"Sec-WebSocket-Key: {key}\r\n\r\n").encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(1)
        expect(b" 101 " in head.split(b"\r\n")[0], f"the relay upgrades: {head!r}")
        hello = json.dumps({"type": "hello", "protocol": 1, "program": "test"}).encode()
        connection.sendall(struct.pack("!BB", 0x81, 0x80 | len(hello)) + bytes(4) + hello)
        self.socket = connection
        threading.Thread(target=self.answer_pings, args=(connection,), daemon=True).start()

    @staticmethod
    def answer_pings(connection):
        def take(size):
            data = b""
            while len(data) < size:
                piece = connection.recv(size - len(data))
                if not piece:
                    raise OSError("closed")
                data += piece
            return data
        connection.settimeout(None)
        try:
            while True:
                first, length = take(2)
                if length == 126:
                    length = struct.unpack("!H", take(2))[0]
                payload = take(length)
                if first & 0x0F == 9:
                    connection.sendall(struct.pack("!BB", 0x8A, 0x80 | len(payload)) + bytes(4) + payload)
        except OSError:
            pass

    def close(self):
        if self.socket:
            self.socket.close()
            self.socket = None

    def offer(self, price):
        answer = self.api.post("/v1/offers", {"market": MARKET, "slots": 8,
                                              "price": {"completion_nano_per_mtok": price}})
        expect_equal(answer.status, 201, repr(answer))

    def shown(self):
        return self.world.provider.must("GET", f"/v1/nodes/{self.id}")

    def stands(self, standing):
        # What another account did, the tables may show a moment later.
        wait_for(f"{self.id} to be {standing}", lambda: self.shown()["standing"] == standing, 30)


def work(**extra):
    return {"market": MARKET, "quantity": {"completion_tokens": 1_000_000, "requests": 1}, "job_seconds": 60,
            "time_in_force": "immediate", **extra}


def resting():
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    return work(time_in_force="rest", rest_until=until)


def registers(image):
    return {"kind": "tdx", "registers": {"mrtd": f"{image:02x}" * 48}, "name": "image", "version": str(image),
            "source": f"https://example.org/image/{image}"}


def story(world, rack, vendor):
    nodes = {}

    def removed(request):
        why = world.developer.must("GET", f"/v1/requests/{request}/explain")["explanation"]["removed"]
        return {item["constraint"]: item["offers"] for item in why}

    def decide(measurement, verb, reason):
        return world.admin.must("POST", f"/v1/admin/measurements/{measurement}:{verb}", {"reason": reason})

    def matched(request, node):
        def there():
            found = world.developer.must("GET", f"/v1/requests/{request}")
            return found["request"]["state"] == "matched" and found["job"]["node"] == node.id
        wait_for("the request to be matched", there, 30)

    def a_build_that_nobody_knows_is_pending():
        nodes["cheap"] = Node(world, rack, processor=1, image=0x3D, gpu=True)
        nodes["dear"] = Node(world, rack, processor=2, image=0x4E, gpu=False)
        for node, price in ((nodes["cheap"], "1000"), (nodes["dear"], "9000")):
            answer = node.attest()
            expect_equal(answer.status, 200, repr(answer))
            expect_equal(answer.json["verdict"]["status"], "proven", "the verdict")
            expect_equal(answer.json["standing"], "measurement_pending", "the standing")
            expect("POST /v1/measurements" in answer.json["advice"], repr(answer))
            expect_equal(answer.json["probation_jobs_left"], 20, "a processor never seen before")
            node.connect()
            node.offer(price)
        refused = world.developer.post("/v1/requests", work())
        expect_refusal(refused, 503, "no_eligible_offer")
        nodes["waiting"] = world.developer.must("POST", "/v1/requests", resting())["request"]["id"]
        wait_for("both offers", lambda: removed(nodes["waiting"]) == {"measurement_pending": 2}, 30)
        named = nodes["dear"].shown()["measurement"]
        placed = world.developer.must("POST", "/v1/requests", work(constraints={"measurements": [named]}))
        expect_equal(placed["job"]["node"], nodes["dear"].id, "who names a measurement gets it")
        world.developer.must("DELETE", f"/v1/jobs/{placed['job']['id']}")

    def approved_builds_are_matched_by_price():
        for name, image in (("cheap", 0x3D), ("dear", 0x4E)):
            entry = world.provider_manager.must("POST", "/v1/measurements", registers(image))
            expect_equal(entry["state"], "pending", "a new entry")
            nodes[image] = entry["id"]
        expect_refusal(world.developer_manager.post("/v1/measurements", registers(0x3D)), 409, "already_exists")
        expect_refusal(world.developer_manager.post(f"/v1/admin/measurements/{nodes[0x3D]}:approve",
                                                    {"reason": "mine"}), 403, "forbidden")
        decide(nodes[0x4E], "approve", "rebuilt")
        matched(nodes["waiting"], nodes["dear"])
        decide(nodes[0x3D], "approve", "rebuilt")
        placed = world.developer.must("POST", "/v1/requests", work())
        expect_equal(placed["job"]["node"], nodes["cheap"].id, "the cheaper one")
        world.developer.must("DELETE", f"/v1/jobs/{placed['job']['id']}")
        def listed():
            items = world.market.must("GET", "/v1/measurements?state=approved")["items"]
            return [item["decided_by"] for item in items] == ["operator", "operator"]
        wait_for("the public register to show both", listed, 30)

    def a_revoked_build_is_out_at_once():
        before = world.developer.must("POST", "/v1/requests", work(session=True))
        expect_equal(before["job"]["node"], nodes["cheap"].id, "the cheaper one")
        decide(nodes[0x3D], "revoke", "writes prompts to its log")
        nodes["cheap"].stands("measurement_revoked")
        expect_equal(nodes["cheap"].shown()["standing_reason"], "writes prompts to its log", "the reason")
        # What had not begun went to the other node in the same command.
        matched(before["request"]["id"], nodes["dear"])
        decide(nodes[0x4E], "revoke", "likewise")
        nodes["waiting"] = world.developer.must("POST", "/v1/requests", resting())["request"]["id"]
        expect_equal(removed(nodes["waiting"]), {"measurement_revoked": 2}, "the waiting request is told why")
        expect_equal(nodes["cheap"].attest().json["standing"], "measurement_revoked", "evidence changes nothing")

    def a_restart_forgets_none_of_it():
        world.demo.market().stop()
        world.demo.start_market()
        for name in ("cheap", "dear"):
            nodes[name].connect()
            nodes[name].stands("measurement_revoked")
        expect_equal(removed(nodes["waiting"]), {"measurement_revoked": 2}, "the waiting request")
        for command in ("check", "replay"):
            status, output = world.command(command)
            expect_equal(status, 0, f"cocoon-market {command}: {output}")

    def out_of_date_collateral_refuses_and_newer_firmware_returns():
        entry = world.provider_manager.must("POST", "/v1/measurements", registers(0x5F))
        decide(entry["id"], "approve", "rebuilt")
        refused = nodes["cheap"].attest(image=0x5F, out_of_date=True)
        expect_refusal(refused, 412, "verdict_refused")
        expect(any("cpu_tcb_status" in error["message"] for error in refused.json["errors"]), repr(refused))
        back = nodes["cheap"].attest(out_of_date=False)
        expect_equal(back.json["standing"], "good", repr(back))
        matched(nodes["waiting"], nodes["cheap"])

    def one_machine_is_one_node():
        twin = Node(world, rack, processor=1, image=0x5F, gpu=False)
        expect_refusal(twin.attest(), 409, "platform_in_use")
        expect_refusal(twin.attest(processor=7, gpu=True), 409, "platform_in_use")
        gone = world.provider.call("POST", f"/v1/nodes/{nodes['cheap'].id}:retire", {})
        expect_equal(gone.status, 204, repr(gone))
        answer = twin.attest(processor=1, gpu=True)
        expect_equal(answer.status, 200, repr(answer))
        expect_refusal(nodes["cheap"].api.post(f"/v1/nodes/{nodes['cheap'].id}/challenge", {}), 401, "key_revoked")
        family = answer.json["verdict"]["family"]
        denied = world.admin.must("POST", "/v1/admin/denials",
                                  {"kind": "fmspc", "value": family, "reason": "keys were extracted"})
        twin.stands("platform_denied")
        world.admin.call("POST", f"/v1/admin/denials/{denied['id']}:lift", {"reason": "replaced"})
        twin.stands("good")

    def restart(**settings):
        world.demo.market().stop()
        world.demo.settings.update(settings)
        world.demo.start_market()

    def firmware_that_newer_collateral_calls_old_is_warned_of_first():
        vendor.publish(0)
        restart(MARKET_COLLATERAL_TDX_URL=vendor.url, MARKET_COLLATERAL_FRESH_SECONDS="1",
                MARKET_EVIDENCE_CHECK_SECONDS="1")
        node = nodes["aged"] = Node(world, rack, processor=9, image=0x5F, gpu=False, bare=True)
        answer = node.attest()
        expect_equal(answer.status, 200, repr(answer))
        expect_equal(answer.json["standing"], "good", repr(answer))
        expect(vendor.asked, "the market fetched what the node did not bring")
        node.connect()
        node.offer("500")
        events = nodes["events"] = Events(world)
        before = node.shown()["evidence_valid_until"]
        vendor.publish(1)
        doubted = events.wait(node, "node.evidence_doubted")
        expect("cpu_tcb_status" in json.dumps(doubted), f"why: {doubted}")
        expect(not any(name == "node.evidence_ended" for name, _ in events.of(node)), "warned before it ends")
        expect(node.shown()["evidence_valid_until"] < before, "and told until when it has")
        # In its grace it trades on, as far as a job fits into it.
        placed = world.developer.must("POST", "/v1/requests", work(job_seconds=1))
        expect_equal(placed["job"]["node"], node.id, "the cheapest, doubted or not")
        world.developer.must("DELETE", f"/v1/jobs/{placed['job']['id']}")

    def then_its_evidence_ends_and_new_firmware_brings_it_back():
        node, events = nodes["aged"], nodes["events"]
        ended = events.wait(node, "node.evidence_ended")
        expect("out_of_date" in json.dumps(ended), f"why: {ended}")
        waiting = world.developer.must("POST", "/v1/requests", resting())["request"]["id"]
        expect(removed(waiting).get("evidence", 0) >= 1, f"the request is told: {removed(waiting)}")
        refused = node.attest()
        expect_refusal(refused, 412, "verdict_refused")
        expect("cpu_tcb_status" in json.dumps(refused.json), repr(refused))
        back = node.attest(updated=True)
        expect_equal(back.status, 200, repr(back))
        matched(waiting, node)
        events.close()

    def a_vendor_that_is_down_refutes_nothing_and_a_restart_needs_none():
        node = nodes["aged"]
        vendor.down = True
        restart()
        answer = node.attest()
        expect_equal(answer.status, 200, repr(answer))
        expect_equal(answer.json["verdict"]["status"], "proven", "by collateral from before the restart")
        other = Node(world, rack, processor=10, image=0x5F, gpu=False, bare=True, family=7)
        later = other.attest()
        expect_refusal(later, 503, "collateral_unavailable")
        expect(int(later.headers["Retry-After"]) > 0, "when to try again")
        vendor.down = False
        text = world.market.get("/metrics").body.decode()
        for line in ('cocoon_evidence_verdicts_total{tier="tdx",status="proven"}',
                     'cocoon_evidence_reasons_total{reason="cpu_tcb_info",outcome="not_checked"}',
                     'cocoon_nodes{tier="tdx",standing="good"}'):
            expect(line in text, f"{line} in the metrics")

    return [(test.__name__.replace("_", " "), test) for test in (
        a_build_that_nobody_knows_is_pending, approved_builds_are_matched_by_price,
        a_revoked_build_is_out_at_once, a_restart_forgets_none_of_it,
        out_of_date_collateral_refuses_and_newer_firmware_returns, one_machine_is_one_node,
        firmware_that_newer_collateral_calls_old_is_warned_of_first,
        then_its_evidence_ends_and_new_firmware_brings_it_back,
        a_vendor_that_is_down_refutes_nothing_and_a_restart_needs_none)]


def main():
    rack, vendor = Rack(), None
    try:
        world = World("attestation_story")
        policy = world.home / "policy.json"
        policy.parent.mkdir(parents=True, exist_ok=True)
        # Long enough to trade in, short enough to see the end of.
        policy.write_text(json.dumps({**rack.policy, "outdated_grace_seconds": 8}))
        world.demo.settings["MARKET_ATTESTATION_POLICY"] = str(policy)
        vendor = Vendor(rack)
        with world:
            return run(story(world, rack, vendor))
    finally:
        if vendor:
            vendor.close()
        rack.close()


if __name__ == "__main__":
    sys.exit(main())
