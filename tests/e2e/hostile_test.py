#!/usr/bin/env python3
"""Bad input against the real server: every field of every endpoint of the served spec with wrong type, range,
encoding, size, duplicates and unknown names; broken, oversized and slow HTTP; stale tokens. Each gets a clear
problem+json, nothing is lost, nothing leaks, and the server answers the next honest call."""

import copy
import json
import random
import re
import socket
import sys
import time

from harness import ROOT, World, expect, expect_equal, expect_refusal, run

SECRET_WORDS = re.compile(rb"ck_[A-Za-z0-9_-]{43}|libpqxx|SELECT |std::|Traceback|\.cpp|" +
                          re.escape(str(ROOT).encode()))


def problem(answer, what):
    expect(400 <= answer.status < 500 and answer.status != 429, f"{what}: {answer!r}")
    expect((answer.headers["Content-Type"] or "").startswith("application/problem+json"), f"{what}: {answer!r}")
    body = answer.json
    expect(body.get("code") and body.get("title") and body.get("status") == answer.status, f"{what}: {answer!r}")
    expect(not SECRET_WORDS.search(answer.body), f"{what} leaks: {answer!r}")
    return body


class Spec:
    def __init__(self, document):
        self.document = document

    def resolve(self, schema):
        while "$ref" in schema:
            target = self.document
            for part in schema["$ref"].lstrip("#/").split("/"):
                target = target[part.replace("~1", "/").replace("~0", "~")]
            schema = target
        return schema

    def requires_fields(self, operation):
        """Whether some field must be given; otherwise an empty body means {}."""
        content = self.resolve(operation["requestBody"])["content"]["application/json"]
        return bool(self.resolve(content["schema"]).get("required"))

    def bodies(self):
        """(method, path, example body) of every operation that takes JSON and shows an example."""
        for path, item in self.document["paths"].items():
            for method, operation in item.items():
                if method not in ("post", "patch", "put"):
                    continue
                content = operation.get("requestBody", {})
                content = self.resolve(content).get("content", {}).get("application/json")
                if not content:
                    continue
                example = content.get("example")
                if example is None and content.get("examples"):
                    example = self.resolve(next(iter(content["examples"].values()))).get("value")
                if example is None:
                    example = self.resolve(content.get("schema", {})).get("example")
                yield method.upper(), path, operation, example


def leaves(value, path=()):
    """Every (path, value) inside a JSON value, containers included."""
    yield path, value
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, path + (name,))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, path + (index,))


def replaced(body, path, value):
    body = copy.deepcopy(body)
    if not path:
        return value
    place = body
    for part in path[:-1]:
        place = place[part]
    place[path[-1]] = value
    return body


def wrong_values(value):
    """Values of another type, or out of any range, for the value's place."""
    if isinstance(value, bool):
        return ["true", 1, None if value is None else "yes", [], {}]
    if isinstance(value, int):
        return ["x", -1, 1.5, 1e30, 2 ** 63, True, [], {}]
    if isinstance(value, str):
        return [7, True, [], {}, "\u0000", "x" * 20_000, "\ud800"]
    if isinstance(value, list):
        return ["x", 7, {}, [[[]]], [{}] * 5_000]
    if isinstance(value, dict):
        return ["x", 7, [], None, {"no_such_field": 1}]
    return ["x"]


def raw(world, data, seconds=15, half_close=False):
    """Sends bytes as they are; everything the server answers until it closes or falls silent."""
    with socket.create_connection(("127.0.0.1", world.demo.ports.market), timeout=seconds) as connection:
        connection.sendall(data)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        try:
            while chunk := connection.recv(65536):
                received += chunk
                if half_close is None and b"\r\n\r\n" in received:
                    break
        except (socket.timeout, ConnectionResetError):
            pass
        return received


def tests(world):
    spec = Spec(world.market.must("GET", "/openapi.json"))

    def api_for(path):
        if "/admin/" in path:
            return world.admin
        if any(part in path for part in ("/requests", "/jobs")):
            return world.developer
        if any(part in path for part in ("/offers",)):
            return world.provider
        if "enrolments" in path or "/nodes" in path:
            return world.provider_manager
        return world.developer_manager

    def every_field_of_every_endpoint():
        tried = 0
        for method, path, operation, example in spec.bodies():
            required = spec.requires_fields(operation)
            expect(example is not None, f"{method} {path} shows no example")
            concrete = re.sub(r"\{[^}]*\}", "1", path)
            for captured, value in (("/keys/", "key_999999"), ("/nodes/", "node_999999"), ("/offers/", "off_999999"),
                                    ("/requests/", "req_999999"), ("/jobs/", "job_999999"),
                                    ("/accounts/", "acc_999999"), ("/webhooks/", "hook_999999"),
                                    ("/measurements/", "meas_999999"), ("/denials/", "deny_999999")):
                concrete = concrete.replace(captured + "1", captured + value)
            headers = {"If-Match": '"1"'}
            if concrete.endswith("/exchange"):
                continue
            api = api_for(path)
            for where, value in list(leaves(example)):
                for wrong in wrong_values(value):
                    body = json.dumps(replaced(example, where, wrong))
                    answer = api.call(method, concrete, body, headers=headers)
                    # Free-form parts (a sign-up form, hardware) accept what a strict field would not.
                    if 200 <= answer.status < 300 and ("profile" in where or "hardware" in where):
                        continue
                    problem(answer, f"{method} {concrete} {'/'.join(map(str, where))} = {str(wrong)[:40]!r}")
                    tried += 1
            if isinstance(example, dict) and example:
                name = next(iter(example))
                double = json.dumps(example)[:-1] + f", {json.dumps(name)}: {json.dumps(example[name])}}}"
                problem(api.call(method, concrete, double, headers=headers), f"{method} {concrete} duplicate {name}")
                unknown = {**example, "no_such_field": 1}
                found = problem(api.call(method, concrete, unknown, headers=headers), f"{method} {concrete} unknown")
                if found["status"] == 422:
                    expect(any("no_such_field" in item["path"] for item in found.get("errors", [])), f"{found}")
                tried += 2
            for text in (b"", b"{", b"null", b"[]", b"\xff\xfe", b'{"a":1}{"b":2}', b"[" * 5000, b'{"a":' * 3000):
                if text or required:
                    answer = api.call(method, concrete, text, headers=headers)
                    problem(answer, f"{method} {concrete} body {text[:12]!r}")
                    tried += 1
        print(f"{tried} bad bodies")
        expect(tried > 500, f"only {tried} bad bodies were tried")

    def broken_http():
        cases = {
            "not HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
            "bad version": b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
            "bad header": b"GET /livez HTTP/1.1\r\nHost x\r\n\r\n",
            "space before colon": b"GET /livez HTTP/1.1\r\nHost : x\r\n\r\n",
            "two lengths": b"POST /v1/requests HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
            "length and chunks": b"POST /v1/requests HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n"
                                 b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "negative length": b"POST /v1/requests HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
            "bad chunk": b"POST /v1/requests HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n\r\n",
            "huge target": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
            "huge header": b"GET /livez HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
            "many headers": b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 20_000 + b"\r\n",
            "encoded slash and dots": b"GET /v1/../../etc/passwd HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
            "nul in target": b"GET /v1/jobs/%00 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
        }
        for what, data in cases.items():
            received = raw(world, data)
            status = re.match(rb"HTTP/1\.[01] (\d+)", received)
            expect(not received or (status and 400 <= int(status.group(1)) < 500), f"{what}: {received[:200]!r}")
            expect(not SECRET_WORDS.search(received), f"{what} leaks: {received[:300]!r}")
        expect(world.market.up("/livez"), "the server answers afterwards")

    def a_body_over_the_limit():
        answer = raw(world, b"POST /v1/accounts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                            b"Content-Length: 99999999\r\n\r\n")
        expect(b" 413 " in answer.split(b"\r\n")[0], repr(answer[:200]))

    def truncated_requests_are_dropped():
        whole = (b"POST /v1/accounts HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                 b'Content-Length: 40\r\n\r\n{"kind":')
        for cut in range(1, len(whole), 7):
            received = raw(world, whole[:cut], half_close=True)
            expect(not received.startswith(b"HTTP/1.1 2"), f"cut at {cut}: {received[:100]!r}")

    def random_mutations():
        seed = random.SystemRandom().randrange(1 << 32)
        chance = random.Random(seed)
        base = (b"POST /v1/requests HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + world.developer.key.encode() +
                b"\r\nContent-Type: application/json\r\nIdempotency-Key: k\r\nConnection: close\r\n"
                b"Content-Length: 62\r\n\r\n"
                b'{"market":"inference:demo-model","quantity":{"requests":1}}   ')
        for _ in range(300):
            data = bytearray(base)
            for _ in range(chance.randint(1, 6)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            received = raw(world, bytes(data), seconds=2, half_close=True)
            status = re.match(rb"HTTP/1\.[01] (\d+)", received)
            expect(not received or (status and int(status.group(1)) != 500),
                   f"seed {seed}: {bytes(data)!r} {received[:200]!r}")
        expect(world.market.up("/livez"), f"seed {seed}: the server answers afterwards")

    def stale_tokens_and_replays():
        placed = world.developer.must("POST", "/v1/requests", {
            "market": "inference:demo-model", "quantity": {"prompt_tokens": 9, "requests": 1},
            "constraints": {"tiers": ["simulated"]}, "time_in_force": "immediate"})
        job = placed["job"]
        stale = world.developer.call("POST", f"/v1/jobs/{job['id']}/exchange", b"x" * 200, headers={
            "Content-Type": "message/ohttp-chunked-req", "Cocoon-Terms": "e30",
            "Cocoon-Fencing-Token": str(int(job["fencing_token"]) - 1)})
        expect_refusal(stale, 409, "stale_fencing_token")
        world.developer.must("DELETE", f"/v1/jobs/{job['id']}")
        ended = world.developer.call("POST", f"/v1/jobs/{job['id']}/exchange", b"x" * 200, headers={
            "Content-Type": "message/ohttp-chunked-req", "Cocoon-Terms": "e30",
            "Cocoon-Fencing-Token": job["fencing_token"]})
        expect(ended.status in (409, 410), repr(ended))

    def rate_limits_are_told():
        answer = world.market.get("/v1/markets")
        expect(answer.headers["RateLimit"] and answer.headers["RateLimit-Policy"], "RateLimit on every answer")

    def the_books_still_balance():
        status, output = world.command("check")
        expect_equal(status, 0, output)

    return [(name.replace("_", " "), function) for name, function in locals().items()
            if callable(function) and name not in ("api_for",)]


if __name__ == "__main__":
    with World("hostile", settings={"MARKET_RATE_PER_MINUTE": "1000000", "MARKET_SIGN_UPS_PER_HOUR": "1000000",
                                     "MARKET_SIGN_INS_PER_HOUR": "1000000"}) as the_world:
        status = run(tests(the_world))
    sys.exit(status)
