#!/usr/bin/env python3
"""People who come and go on the demo market, so that its pages have something to show: jobs through cocoon-client,
requests that wait for a better price, sellers who change theirs. Started by demo.py up, which passes the market's URL,
the client's and the file with the demo accounts; ends by itself when the market is gone. Uses the public API only."""

import datetime
import json
import pathlib
import random
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from stack import Api  # noqa: E402

PAUSE_SECONDS = 1.5  # between two jobs, on average
WAITING_MAX = 8  # requests that rest at once
WAIT_SECONDS = 600
AVAILABLE_NANO_MIN = 500_000_000  # below it nothing more is bought: the rest is for whoever tries the market
FAILURES_MAX = 40  # in a row, with a pause each: then the market is gone
PRICES = ("prompt_nano_per_mtok", "cached_nano_per_mtok", "completion_nano_per_mtok", "reasoning_nano_per_mtok")
QUESTIONS = ("Who can read this prompt?", "Summarise the minutes of our last meeting.", "Translate this contract.",
             "Write a test for the parser.", "What changed between these two reports?", "Explain this stack trace.")


class Traffic:
    def __init__(self, market_url, client_url, accounts):
        self.chance = random.Random(7)
        self.client = Api(client_url)
        self.market = Api(market_url)
        self.developer = Api(market_url, accounts["developer"]["work_key"])
        self.provider = Api(market_url, accounts["provider"]["work_key"])
        self.listed = {}  # what each offer cost when it was first seen: prices wander around it

    def markets(self):
        found = self.market.must("GET", "/v1/markets")["items"]
        return [market for market in found if market["kind"] == "inference" and market["offers"] > 0]

    def buy(self, market):
        words = " ".join([self.chance.choice(QUESTIONS)] * self.chance.randint(1, 12))
        self.client.call("POST", "/v1/chat/completions", {
            "model": market["name"].removeprefix("inference:"), "max_tokens": self.chance.randint(16, 400),
            "messages": [{"role": "user", "content": words}]}, timeout=120)

    def request(self, market, percent, **how):
        """Asks for about 1,200 tokens at so many percent of the best price."""
        best = market["best_price"]
        tokens = {"prompt_tokens": self.chance.randint(400, 1600), "completion_tokens": self.chance.randint(100, 500)}
        cost = (tokens["prompt_tokens"] * int(best["prompt_nano_per_mtok"]) +
                tokens["completion_tokens"] * int(best["completion_nano_per_mtok"])) // 1_000_000
        self.developer.call("POST", "/v1/requests", {
            "market": market["name"], "quantity": {**tokens, "requests": 1},
            "cap_total_nano": str(max(1, cost * percent // 100)), "constraints": {"tiers": ["simulated"]}, **how})

    def wait_for_better(self, market):
        resting = self.developer.must("GET", f"/v1/requests?state=resting&limit={WAITING_MAX}")["items"]
        if len(resting) < WAITING_MAX:
            until = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=WAIT_SECONDS)
            self.request(market, self.chance.randint(60, 92), time_in_force="rest",
                         rest_until=until.isoformat(timespec="seconds").replace("+00:00", "Z"))

    def find_nothing(self, market):
        self.request(market, 40, time_in_force="immediate")

    def change_a_price(self, _market):
        offer = self.chance.choice(self.provider.must("GET", "/v1/offers?state=active&limit=100")["items"])
        listed = self.listed.setdefault(offer["id"], offer["price"])
        percent = self.chance.randint(94, 107)
        price = {name: str(int(listed[name]) * percent // 100) if name in PRICES else value
                 for name, value in listed.items()}
        self.provider.call("PATCH", f"/v1/offers/{offer['id']}", {"price": price}, headers={"If-Match": "*"})

    def act(self):
        markets = self.markets()
        if not markets:
            return
        market = self.chance.choice(markets)
        balance = self.developer.must("GET", "/v1/account/balance")
        acts = [self.change_a_price]
        if int(balance["available_nano"]) >= AVAILABLE_NANO_MIN:
            acts += [self.buy] * 14 + [self.wait_for_better] * 3 + [self.find_nothing]
        self.chance.choice(acts)(market)

    def run(self):
        failures = 0
        while failures < FAILURES_MAX:
            try:
                self.act()
                failures = 0
            except Exception as failure:  # a market that restarts is a pause, one that is gone ends this
                failures += 1
                print(f"{type(failure).__name__}: {failure}", flush=True)
            time.sleep(min(self.chance.expovariate(1 / PAUSE_SECONDS), 10))


if __name__ == "__main__":
    Traffic(sys.argv[1], sys.argv[2], json.loads(pathlib.Path(sys.argv[3]).read_text())).run()
