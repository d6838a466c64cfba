#!/usr/bin/env python3
"""What the market owes is provable, and big money needs two people: the proof of solvency and signed earnings,
fetched and checked by cocoon-client; approvals, rejection and the pause switch, over HTTP and at the machine."""

import json
import os
import subprocess
import sys

from harness import Api, BINARIES, World, expect, expect_equal, expect_refusal, run, wait_for

LARGE = 50_000_000
ADDRESS = "dev:big-spender"


def tests(world):
    spender = world.developer_manager
    admins = [Api(world.demo.market_url, (world.home / f"market/admin.token.{name}").read_text().strip())
              for name in ("bea", "cid")]
    kept = {}

    def client(*arguments, key=None):
        done = subprocess.run([BINARIES / "cocoon-client", *arguments, "--json"], text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, cwd=world.home,
                              env={**os.environ, "COCOON_MARKET_URL": world.demo.market_url,
                                   "COCOON_API_KEY": key or ""})
        return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr

    def ask(amount):
        return spender.must("POST", "/v1/payouts", {"amount_nano": str(amount), "source": "available"})

    def state_of(payout):
        found = [item for item in spender.must("GET", "/v1/payouts")["items"] if item["id"] == payout["id"]]
        return found[0]["state"]

    def paid(payout):
        wait_for(f"{payout['id']} to be paid", lambda: state_of(payout) == "paid", 30)

    def balance():
        return {name: int(value) for name, value in spender.must("GET", "/v1/account/balance").items()}

    def earnings_are_signed_and_only_grow():
        key = world.demo.state["provider"]["management_key"]
        status, first = client("proof", "earnings", "--out", "earned-1.json", key=key)
        expect_equal(status, 0, first)
        world.demo.first_job()
        market_key = world.market.must("GET", "/v1/market-key")["public_key"]

        def grown():
            status, second = client("proof", "earnings", "--out", "earned-2.json", "--older", "earned-1.json",
                                    "--market-key", market_key, key=key)
            expect_equal(status, 0, second)
            return int(second["earned_nano"]) > int(first["earned_nano"]) and second
        second = wait_for("the job's pay in the signed earnings", grown, 20)
        earned = world.provider.must("GET", "/v1/account/balance")["earned_nano"]
        expect_equal(second["owed_nano"], earned, "what is owed to the provider")
        status, verdict = client("verify", "--earnings", "earned-1.json", "--older", "earned-2.json")
        expect_equal(status, 1, verdict)  # what fell is found
        expect_equal(client("verify", "--earnings", "earned-2.json", "--market-key", "00" * 32)[0], 1, "another key")
        kept["market_key"] = market_key

    def everybody_finds_themselves_in_what_is_owed_to_all():
        def proven():
            status, found = client("proof", "solvency", "--out", "proof.json", "--market-key", kept["market_key"],
                                   key=spender.key)
            held = balance()
            whole = held["available_nano"] + held["held_nano"] + held["earned_nano"] + held["paying_nano"]
            return status == 0 and int(found["amount_nano"]) == whole and found
        found = wait_for("a proof that counts the newest balance", proven, 20)
        public = world.market.must("GET", "/v1/proof/solvency")["statement"]
        rows = world.database.psql("select sum(available_nano + held_nano + earned_nano + paying_nano) from accounts "
                                   "where kind <> 'house'")
        expect_equal(public["liabilities_nano"], rows[0][0], "the sum of all accounts")
        expect(int(found["balance_nano"]) >= int(found["liabilities_nano"]), f"covered: {found}")
        text = (world.home / "proof.json").read_text()
        document = json.loads(text)
        amount = document["leaf"]["amount_nano"]
        for lie in (text.replace(f'"amount_nano":"{amount}"', f'"amount_nano":"{int(amount) - 1}"'),
                    text.replace(document["leaf"]["salt"], "0" * 64),
                    text.replace(document["solvency"]["statement"]["liabilities_nano"], "1")):
            expect(lie != text, "something is changed")
            (world.home / "lie.json").write_text(lie)
            expect_equal(client("verify", "--solvency", "lie.json")[0], 1, lie)
        expect_equal(client("verify", "--solvency", "proof.json", "--market-key", kept["market_key"])[0], 0, text)

    def a_large_payout_waits_for_two_admins():
        spender.must("PATCH", "/v1/account", {"payout_address": ADDRESS})
        small, large = ask(LARGE - 1), ask(LARGE)
        expect_equal((small["state"], large["state"]), ("queued", "awaiting_approval"), "their states")
        approve = f"/v1/admin/payouts/{large['id']}:approve"
        expect_refusal(spender.post(approve, {"note": "mine"}), 403, "forbidden")
        expect_equal(admins[0].must("POST", approve, {"note": "asked them"})["approvals"], 1, "approvals")
        expect_refusal(admins[0].post(approve, {"note": "again"}), 403, "own_approval")
        paid(small)
        expect_equal(state_of(large), "awaiting_approval", "the large one")
        waiting = world.admin.must("GET", "/v1/admin/payouts?state=awaiting_approval")["items"]
        expect_equal([item["id"] for item in waiting], [large["id"]], "what an admin sees")
        expect_equal(admins[1].must("POST", approve, {"note": "me too"})["state"], "queued", "its state")
        expect_refusal(world.admin.post(approve, {"note": "late"}), 409, "wrong_state")
        paid(large)
        audit = [item for item in world.admin.must("GET", "/v1/admin/audit")["items"]
                 if item["target"] == large["id"]]
        expect_equal([item["after"] for item in audit], ["queued, 2 of 2", "awaiting_approval, 1 of 2"], "the audit")
        expect(len({item["actor"] for item in audit}) == 2, "two people")

    def a_rejected_one_gives_the_money_back():
        before = balance()
        payout = ask(LARGE * 2)
        expect_equal(balance()["paying_nano"], before["paying_nano"] + LARGE * 2, "in payouts")
        answer = admins[1].must("POST", f"/v1/admin/payouts/{payout['id']}:reject", {"reason": "wrong address"})
        expect_equal((answer["state"], answer["reason"]), ("rejected", "wrong address"), "the answer")
        # Somebody else's call gave it back: the spender's next read may still be of the moment before.
        wait_for("the money to be back", lambda: {**balance(), "as_of": 0} == {**before, "as_of": 0}, 10)

    def payouts_pause_at_the_machine_and_go_on_over_http():
        status, output = world.command("payouts", "pause", "a drill")
        expect_equal(status, 0, output)
        payout = ask(5)
        batches = world.database.psql("select count(*) from payout_batches")
        wait_for("the pause to be seen", lambda: "cocoon_settlement_payouts_paused 1"
                 in world.market.get("/metrics").body.decode(), 20)
        expect(world.admin.must("GET", "/v1/admin/settlement")["payouts_paused"], "paused")
        expect_equal(world.database.psql("select count(*) from payout_batches"), batches, "no new batch")
        expect_equal(state_of(payout), "queued", "the payout")
        expect_refusal(spender.post("/v1/admin/settlement:resume", {"note": "mine"}), 403, "forbidden")
        expect_equal(admins[0].post("/v1/admin/settlement:resume", {"note": "drill over"}).status, 204, "resume")
        paid(payout)
        audit = world.admin.must("GET", "/v1/admin/audit")["items"]
        turns = [(item["action"], item["before"], item["after"], item["note"]) for item in audit
                 if item["target"] == "payouts"]
        expect_equal(turns, [("resume_payouts", "paused", "running", "drill over"),
                             ("pause_payouts", "running", "paused", "a drill")], "the audit")

    def they_pause_while_no_market_runs_too():
        world.demo.market().stop()
        status, output = world.command("payouts", "pause", "before the start")
        expect_equal(status, 0, output)
        world.demo.start_market()
        expect(world.admin.must("GET", "/v1/admin/settlement")["payouts_paused"], "paused from the start")
        names = {item["name"] for item in world.admin.must("GET", "/v1/admin/accounts?kind=admin")["items"]}
        expect_equal(names, {"admin", "bea", "cid"}, "admins, none opened twice")
        world.demo.market().stop()
        for command in ("check", "replay"):
            status, output = world.command(command)
            expect_equal(status, 0, output)

    return [(name.replace("_", " "), function) for name, function in locals().items()
            if callable(function) and name in TESTS]


TESTS = ("earnings_are_signed_and_only_grow", "everybody_finds_themselves_in_what_is_owed_to_all",
         "a_large_payout_waits_for_two_admins", "a_rejected_one_gives_the_money_back",
         "payouts_pause_at_the_machine_and_go_on_over_http", "they_pause_while_no_market_runs_too")

if __name__ == "__main__":
    with World("owed", settings={
            "MARKET_PAYOUT_APPROVAL_NANO": str(LARGE), "MARKET_MORE_ADMINS": "bea,cid",
            "MARKET_SOLVENCY_INTERVAL_MS": "500", "MARKET_RECONCILE_INTERVAL_MS": "300",
            "MARKET_SETTLEMENT_INTERVAL_MS": "100"}) as the_world:
        status = run(tests(the_world))
    sys.exit(status)
