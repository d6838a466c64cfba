#!/usr/bin/env python3
"""The pages in a real browser against the real server, PostgreSQL, nodes and client: the stories of web/e2e, on
desktop and phone. Screenshots of every page go to var/screenshots."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from harness import ROOT, Check, World, expect  # noqa: E402

JOBS = 12


def admin_login(world):
    """What the first start wrote for the operator: account, password, code_secret, code_url."""
    lines = (world.home / "market/admin.login").read_text().splitlines()
    return dict(line.split(" ", 1) for line in lines)


def main():
    chromium = os.environ.get("COCOON_CHROMIUM") or shutil.which("chromium")
    for needed, what in ((ROOT / "web/dist/index.html", "the built pages"),
                         (ROOT / "web/node_modules", "the packages of web/"),
                         (pathlib.Path(chromium or "/nowhere"), "a Chromium")):
        if not needed.exists():
            print(f"FAILED  {what} is missing ({needed}); run ./deploy/test\n0 passed, 1 failed")
            return 1
    with World("web", settings={"MARKET_WEB_ROOT": str(ROOT / "web/dist"),
                                "MARKET_SOLVENCY_INTERVAL_MS": "1000"}) as world:
        for number in range(JOBS):  # something to look at
            answer = world.client.post("/v1/chat/completions", {
                "model": "demo-model", "max_tokens": 16 + number,
                "messages": [{"role": "user", "content": f"job {number}"}]})
            expect(answer.status == 200, f"a job runs: {answer!r}")
        job = world.developer.must("GET", "/v1/jobs?limit=1")["items"][0]
        offer = world.provider.must("GET", "/v1/offers?state=active&limit=1")["items"][0]
        story = {
            "base": world.demo.market_url, "client": world.demo.client_url, "model": "demo-model",
            "developer_key": world.demo.state["developer"]["management_key"],
            "provider_key": world.demo.state["provider"]["management_key"],
            "admin_key": world.admin.key, "admin_login": admin_login(world),
            "job": job["id"], "node": job["node"], "offer": offer["id"],
        }
        done = subprocess.run(["node", str(ROOT / "web/e2e/run.mjs"), *sys.argv[1:]], env={
            **os.environ, "COCOON_WORLD": json.dumps(story), "COCOON_CHROMIUM": chromium,
            "COCOON_SCREENSHOTS": str(ROOT / "var/screenshots")})
        return done.returncode


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Check as finding:
        print(f"FAILED  {finding}\n0 passed, 1 failed")
        sys.exit(1)
