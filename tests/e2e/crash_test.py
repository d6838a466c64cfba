#!/usr/bin/env python3
"""kill -9 of the real server under load, several times: every answered command is there afterwards, no
unanswered one is half there, the books balance, every job ends, the journal rebuilds every projection."""

import os
import random
import sys
import threading
import time
import uuid

from harness import Api, World, expect, expect_equal, run, wait_for

MARKET = "inference:demo-model"
ROUNDS = int(os.environ.get("COCOON_CRASH_ROUNDS", "4"))
SEED = int(os.environ.get("COCOON_CRASH_SEED", str(random.SystemRandom().randrange(1 << 32))))


class Load:
    """Callers that place and cancel until told to stop; what they were answered is remembered."""

    def __init__(self, world, callers=6):
        self.world = world
        self.answered = {}   # idempotency key -> (body, job id)
        self.unanswered = {} # idempotency key -> body
        self.cancelled = set()
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self.place, args=(index,), daemon=True) for index in range(callers)]
        for thread in self.threads:
            thread.start()

    def place(self, index):
        chance = random.Random(SEED + index)
        api = Api(self.world.demo.market_url, self.world.developer.key)
        while not self.stopping.is_set():
            key = str(uuid.UUID(int=chance.getrandbits(128)))
            body = {"market": MARKET, "constraints": {"tiers": ["simulated"]}, "time_in_force": "immediate",
                    "quantity": {"prompt_tokens": chance.randint(1, 500), "completion_tokens": 50, "requests": 1},
                    "job_seconds": 5}
            try:
                answer = api.post("/v1/requests", body, idempotency_key=key, timeout=10)
            except OSError:
                with self.lock:
                    self.unanswered[key] = body
                time.sleep(0.02)
                continue
            except Exception:  # cut in the middle of an answer
                with self.lock:
                    self.unanswered[key] = body
                continue
            if answer.status == 201:
                job = answer.json["job"]["id"]
                with self.lock:
                    self.answered[key] = (body, job)
                try:
                    if api.call("DELETE", f"/v1/jobs/{job}", timeout=10).status == 200:
                        with self.lock:
                            self.cancelled.add(job)
                except Exception:
                    pass

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(20)


def tests(world):
    print(f"seed {SEED}, {ROUNDS} rounds")
    load = Load(world)
    chance = random.Random(SEED)

    def survives_kills_under_load():
        for _ in range(ROUNDS):
            time.sleep(chance.uniform(0.3, 1.5))
            world.demo.market().kill()
            world.demo.start_market()
        time.sleep(0.5)
        load.stop()
        expect(len(load.answered) >= ROUNDS, f"load was answered ({len(load.answered)} jobs)")
        expect(load.unanswered, "and some calls were cut by the kills")

    def every_answered_command_is_there():
        for key, (body, job) in list(load.answered.items())[-300:]:
            again = world.developer.post("/v1/requests", body, idempotency_key=key)
            expect_equal(again.status, 201, repr(again))
            expect_equal(again.json["job"]["id"], job, "the stored answer is the answer that was given")
        for job in list(load.cancelled)[-100:]:
            expect_equal(world.developer.must("GET", f"/v1/jobs/{job}")["state"], "cancelled", job)

    def no_unanswered_command_is_half_there():
        for key, body in list(load.unanswered.items()):
            again = world.developer.post("/v1/requests", body, idempotency_key=key)
            expect(again.status in (201, 503), repr(again))
            if again.status == 201:
                world.developer.call("DELETE", f"/v1/jobs/{again.json['job']['id']}")

    def every_job_ends():
        def none_open():
            rows = world.database.psql("select count(*) from jobs where state in ('reserved', 'running')")
            return rows == [["0"]]
        wait_for("the last reservations to expire", none_open, 60)
        balance = world.developer.must("GET", "/v1/account/balance")
        expect_equal(balance["held_nano"], "0", "nothing is held")

    def the_books_balance_and_replay():
        world.demo.market().stop()
        for command in ("check", "replay"):
            status, output = world.command(command)
            expect_equal(status, 0, output)

    return [(name.replace("_", " "), function) for name, function in locals().items()
            if callable(function) and getattr(function, "__name__", "") != "Load"]


if __name__ == "__main__":
    with World("crash") as the_world:
        status = run(tests(the_world))
    sys.exit(status)
