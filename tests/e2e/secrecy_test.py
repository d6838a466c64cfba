#!/usr/bin/env python3
"""The market cannot read a job: after jobs with a marked prompt and a marked answer, the marker is in no
page of the server's memory, no log of any program but the engine, no row of the database. Keys neither."""

import json
import pathlib
import re
import secrets
import subprocess
import sys

from harness import World, expect, expect_equal, run


KEY = re.compile(r"\bc[ke]_[A-Za-z0-9_-]{43}")


# A sanitizer's map of the address space is larger than any memory, and holds no content.
SHADOW_BYTES = 1 << 36


def memory_holds(pid, needles):
    """Which needles stand in any readable private page of the process."""
    found = set()
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
            fields = line.split()
            if "r" not in fields[1] or fields[-1] in ("[vvar]", "[vsyscall]", "[vvar_vclock]"):
                continue
            begin, end = (int(part, 16) for part in fields[0].split("-"))
            if end - begin > SHADOW_BYTES:
                continue
            try:
                memory.seek(begin)
                content = memory.read(end - begin)
            except (OSError, ValueError, OverflowError):
                continue
            found |= {needle for needle in needles if needle.encode() in content}
    return found


def spoken(body, stream):
    """What the model said, from a whole answer or the pieces of a stream."""
    if not stream:
        return json.loads(body)["choices"][0]["message"]["content"]
    pieces = [json.loads(line[6:]) for line in body.splitlines() if line.startswith("data: {")]
    return "".join(piece["choices"][0]["delta"].get("content") or "" for piece in pieces if piece["choices"])


def tests(world):
    marker = "pelican" + secrets.token_hex(12)
    control = "marker-that-the-market-does-see-" + secrets.token_hex(8)

    def the_marked_job_runs():
        for stream in (False, True):
            answer = world.client.post("/v1/chat/completions", {
                "model": "demo-model", "max_tokens": 64, "stream": stream,
                "messages": [{"role": "user", "content": f"Please repeat {marker} back to me"}]}, timeout=60)
            expect_equal(answer.status, 200, repr(answer))
            said = spoken(answer.body.decode(), stream)
            expect(marker in said, "the answer carries the marker, so both ways are tested")
        # Proof that the search would find something: a name the market is told in clear.
        world.developer_manager.call("PATCH", "/v1/account", {"name": control})

    def not_in_the_servers_memory():
        pid = world.demo.market().pid()
        found = memory_holds(pid, [marker, control])
        expect(control in found, "the search finds what the market does know")
        expect(marker not in found, "plaintext in the server's memory")

    def not_in_any_log():
        keys = [world.developer.key, world.provider.key, world.admin.key]
        for log in (world.home / "run").glob("*.log"):
            text = log.read_text(errors="replace")
            if log.name != "cocoon-demo-engine.log":
                expect(marker not in text, f"plaintext in {log.name}")
            for key in keys:
                expect(key not in text, f"an API key in {log.name}")
            expect(not KEY.search(text), f"a key or token in {log.name}")

    def not_in_the_database():
        dump = subprocess.run(["pg_dump", world.database.url], stdout=subprocess.PIPE, check=True).stdout
        expect(control.encode() in dump or control.encode().hex().encode() in dump, "the search finds what is stored")
        for needle in (marker, world.developer.key, world.provider.key, world.admin.key):
            expect(needle.encode() not in dump and needle.encode().hex().encode() not in dump,
                   "plaintext or a key in the database")

    def not_in_the_metrics():
        text = world.market.get("/metrics").body.decode()
        expect(marker not in text and not KEY.search(text), "metrics carry no content and no key")

    return [(name.replace("_", " "), function) for name, function in locals().items() if callable(function)]


if __name__ == "__main__":
    with World("secrecy") as the_world:
        status = run(tests(the_world))
    sys.exit(status)
