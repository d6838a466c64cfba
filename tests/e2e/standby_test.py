#!/usr/bin/env python3
"""Two real servers on one database: the second waits, the first is killed, the second takes over and serves;
and a first that only slept finds itself fenced: it stores nothing more and ends."""

import json
import signal
import sys

from harness import BINARIES, Api, World, expect, expect_equal, run, stack, wait_for
from stack import Program

MODEL = "demo-model"


def server(world, name, port=None):
    """Another cocoon-market with the world's settings; on its port unless another is given."""
    first = world.demo.market()
    settings = dict(first.environment)
    if port:
        settings["MARKET_LISTEN"] = f"127.0.0.1:{port}"
    return Program(name, [BINARIES / "cocoon-market", "serve"], world.demo.run, settings)


def said(program, event):
    """How often the program logged this event."""
    lines = program.log_file.read_text().splitlines() if program.log_file.exists() else []
    return sum(1 for line in lines if line.startswith("{") and json.loads(line).get("event") == event)


def order(tokens=20):
    return {"market": f"inference:{MODEL}", "constraints": {"tiers": ["simulated"]}, "time_in_force": "immediate",
            "quantity": {"prompt_tokens": tokens, "completion_tokens": 20, "requests": 1}, "job_seconds": 60}


def chat(world):
    return world.client.call("POST", "/v1/chat/completions", {
        "model": MODEL, "max_tokens": 16, "messages": [{"role": "user", "content": "Are you there?"}]}, timeout=30)


def tests(world):
    second = server(world, "cocoon-market-second")
    third = server(world, "cocoon-market-third", stack.free_port())
    before = {}

    def the_second_waits():
        second.start()
        second.wait_until("the second to stand by", lambda: said(second, "standby") == 1)
        answer = world.developer.post("/v1/requests", order(), idempotency_key="before-the-kill")
        expect_equal(answer.status, 201, repr(answer))
        before["job"] = answer.json["job"]["id"]
        before["balance"] = world.developer.must("GET", "/v1/account/balance")
        world.market.must("POST", "/v1/dev/faucet", {
            "memo": world.demo.state["developer"]["deposit_memo"], "amount_nano": "123000000"})
        wait_for("the deposit", lambda: world.developer.must("GET", "/v1/account/balance")["available_nano"] !=
                 before["balance"]["available_nano"])
        before["balance"] = world.developer.must("GET", "/v1/account/balance")
        expect_equal(said(second, "lane_elected"), 0, "elections of the second while the first lives")
        expect_equal(said(second, "serving"), 0, "and it serves nobody")

    def it_takes_over_when_the_first_is_killed():
        world.demo.market().kill()
        second.wait_until("the second to serve", world.market.up)
        expect_equal(said(second, "lane_elected"), 1, "elections")

    def what_was_answered_still_holds():
        again = world.developer.post("/v1/requests", order(), idempotency_key="before-the-kill")
        expect_equal(again.status, 201, repr(again))
        expect_equal(again.headers["Idempotency-Replayed"], "true", repr(again))
        expect_equal(again.json["job"]["id"], before["job"], "the job of before the kill")
        balance = world.developer.must("GET", "/v1/account/balance")
        for bucket in ("available_nano", "held_nano", "paying_nano"):
            expect_equal(balance[bucket], before["balance"][bucket], bucket)

    def nodes_and_clients_find_it():
        wait_for("a whole exchange through the second", lambda: chat(world).status == 200, 60)

    def the_chain_goes_on_where_the_first_left_it():
        was = int(world.developer.must("GET", "/v1/account/balance")["available_nano"])
        world.market.must("POST", "/v1/dev/faucet", {
            "memo": world.demo.state["developer"]["deposit_memo"], "amount_nano": "456000000"})
        wait_for("one deposit more, once", lambda: int(
            world.developer.must("GET", "/v1/account/balance")["available_nano"]) >= was + 456_000_000 - 10_000_000)

    def a_writer_that_slept_through_an_election_is_fenced():
        third.start()
        third.wait_until("the third to stand by", lambda: said(third, "standby") == 1)
        second.signal(signal.SIGSTOP)
        # What a lost network does in the end: the database ends the sleeper's sessions.
        world.database.psql("select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = "
                            "current_database() and application_name in ('cocoon-market lane')"
                            " and pid in (select pid from pg_locks where locktype = 'advisory' and granted)")
        successor = Api(third.environment["MARKET_LISTEN"].join(["http://", ""]), world.developer.key)
        third.wait_until("the third to serve", successor.up)
        sequence = world.database.psql("select sequence, epoch from lane")[0]
        second.signal(signal.SIGCONT)
        try:  # it may still take the call, but must not have stored it
            expect(world.developer.post("/v1/requests", order(), idempotency_key="to-the-sleeper",
                                        timeout=20).status != 201, "the fenced writer says nothing was placed")
        except OSError:
            pass
        except Exception as cut:  # ended in the middle of an answer
            expect("HTTP" in type(cut).__mro__[1].__name__ or "HTTP" in type(cut).__name__, repr(cut))
        wait_for("the sleeper to end by itself", second.gone, 30)
        expect_equal(world.database.psql("select count(*) from journal where "
                                         "position(convert_to('to-the-sleeper', 'UTF8') in body) > 0"),
                     [["0"]], "entries of the fenced writer")
        placed = successor.post("/v1/requests", order(), idempotency_key="to-the-successor")
        expect(placed.status in (201, 503), repr(placed))  # its nodes are still with the address of the sleeper
        after = world.database.psql("select sequence, epoch from lane")[0]
        expect_equal(after[1], sequence[1], "epochs since the third was elected")

    def the_books_balance_and_replay():
        third.stop()
        for command in ("check", "replay"):
            status, output = world.command(command)
            expect_equal(status, 0, output)

    def stop_all():
        for program in (second, third):
            if program.pid():
                program.signal(signal.SIGCONT)
                program.kill()

    world.stop_others = stop_all
    return [(function.__name__.replace("_", " "), function) for function in (
        the_second_waits, it_takes_over_when_the_first_is_killed, what_was_answered_still_holds,
        nodes_and_clients_find_it, the_chain_goes_on_where_the_first_left_it,
        a_writer_that_slept_through_an_election_is_fenced, the_books_balance_and_replay)]


if __name__ == "__main__":
    with World("standby") as the_world:
        try:
            status = run(tests(the_world))
        finally:
            the_world.stop_others()
    sys.exit(status)
