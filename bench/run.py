#!/usr/bin/env python3
"""Runs the benches of ./deploy/bench and prints their table. Every figure is measured alternating with its
anchor (pgbench, nginx, the engine called directly, direct serving, a plain std::map book), round by round in
the same minutes, because the machine's speed drifts; the table shows medians and the median of the rounds'
ratios. Nothing here passes or fails: an aim that is not reached is a "no" in the table.

Everything runs in its own world under var/bench: PostgreSQL cluster, databases, ports, programs."""

import argparse
import dataclasses
import datetime
import json
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "deploy"))
from demo import Demo, MODEL, Ports  # noqa: E402
from stack import Api, Failure, PrivatePostgres, Program, wait_for, write_secret  # noqa: E402

HOME = ROOT / "var/bench"
BINARIES = pathlib.Path(os.environ.get("COCOON_BENCH_BINARIES", ROOT / "build/bench/bin"))
PORT = int(os.environ.get("COCOON_BENCH_PORT", "18140"))
DATABASE_PORT, MARKET_PORT, CLIENT_PORT, ENGINE_PORT, NGINX_PORT = range(PORT, PORT + 5)
MARKERS = "<!-- table begin -->", "<!-- table end -->"
DEVELOPERS = 64
DEPOSIT_NANO = 10 ** 15
RATE = {"MARKET_RATE_PER_MINUTE": "1000000000", "MARKET_ADDRESS_RATE_PER_MINUTE": "1000000000",
        "MARKET_SIGN_UPS_PER_HOUR": "1000000", "MARKET_SIGN_UPS_OF_ALL_PER_HOUR": "1000000",
        "MARKET_REMEMBERED_PER_ACCOUNT_MAX": "10000000", "MARKET_REMEMBERED_MAX": "10000000",
        "MARKET_ACCESS_LOG": "failures"}


def say(text):
    print(f"\033[1m==> {text}\033[0m", file=sys.stderr, flush=True)


def note(text):
    print(f"    {text}", file=sys.stderr, flush=True)


# ---- Figures ------------------------------------------------------------------------------------

@dataclasses.dataclass
class Figure:
    """One line of the table. `how`: "ratio" compares value / anchor round by round, "added" the difference,
    "value" the value itself; `aim` is what that must reach, from above when `better` is "lower"."""
    name: str
    unit: str
    how: str = "value"
    better: str = "higher"
    aim: float = None
    anchor_name: str = ""
    values: list = dataclasses.field(default_factory=list)
    anchors: list = dataclasses.field(default_factory=list)
    told: float = None  # the median ratio, from a program that alternates by itself

    def add(self, value, anchor=None):
        self.values.append(value)
        if anchor is not None:
            self.anchors.append(anchor)

    def compared(self):
        if self.told is not None:
            return [self.told]
        if self.how == "ratio":
            return [value / anchor for value, anchor in zip(self.values, self.anchors)]
        if self.how == "added":
            return [value - anchor for value, anchor in zip(self.values, self.anchors)]
        return self.values

    def reached(self):
        if self.aim is None:
            return ""
        found = statistics.median(self.compared())
        return "yes" if (found >= self.aim if self.better == "higher" else found <= self.aim) else "**no**"

    def row(self):
        compared, sign = "", {"ratio": "×", "added": " " + self.unit}.get(self.how, " " + self.unit)
        if self.how != "value":
            compared = ("+" if self.how == "added" else "") + number(statistics.median(self.compared())) + sign
        aim = ""
        if self.aim is not None:
            aim = ("≥ " if self.better == "higher" else "≤ ") + number(self.aim) + sign
        return [self.name, self.unit, number(statistics.median(self.values)),
                f"{number(min(self.values))}..{number(max(self.values))}",
                f"{number(statistics.median(self.anchors))} ({self.anchor_name})" if self.anchors else "",
                compared, aim, self.reached()]


def number(value):
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    if abs(value) >= 100:
        return f"{value:.0f}"
    if abs(value) >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}"


HEADINGS = ["figure", "unit", "median", "min..max", "anchor", "against it", "aim", "reached"]


def markdown(figures):
    lines = ["| " + " | ".join(HEADINGS) + " |", "|" + "|".join("---" for _ in HEADINGS) + "|"]
    lines += ["| " + " | ".join(figure.row()) + " |" for figure in figures]
    return "\n".join(lines) + "\n"


def plain(figures):
    rows = [HEADINGS, *(figure.row() for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADINGS))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows) + "\n"


# ---- Programs -----------------------------------------------------------------------------------

def run_json(*command, timeout=600):
    """The last line of a bench program's output, as JSON."""
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=timeout)
    if done.returncode != 0:
        raise Failure(f"{pathlib.Path(str(command[0])).name} failed ({done.returncode}): {done.stderr.strip()[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def load(url, seconds, connections, body=None, keys=None, idempotent=False, method="POST", must_succeed=True):
    command = [BINARIES / "load_bench", url, "--connections", connections, "--seconds", seconds, "--method", method]
    if body is not None:
        path = HOME / "body.json"
        path.write_text(json.dumps(body, separators=(",", ":")))
        command += ["--body", path]
    if keys is not None:
        command += ["--keys", keys]
    if idempotent:
        command.append("--idempotent")
    answer = run_json(*command)
    if must_succeed and answer["good"] < 0.99 * answer["answers"]:
        raise Failure(f"{url} answered {answer['statuses']}")
    if answer["good"] == 0:
        raise Failure(f"{url} answered nothing")
    return answer


def pgbench(postgres, seconds, *options):
    environment = dict(os.environ, PGPASSWORD=postgres.password_file.read_text().strip())
    done = subprocess.run([postgres.binaries / "pgbench", "-h", "127.0.0.1", "-p", str(DATABASE_PORT), "-U", "cocoon",
                           *options, "pgbench"], env=environment, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    if done.returncode != 0:
        raise Failure("pgbench: " + done.stderr[-2000:])
    return done.stdout


def tpc_b(postgres, seconds):
    """Transactions a second of TPC-B with 16 clients, prepared statements: the anchor of everything durable."""
    out = pgbench(postgres, seconds, "-M", "prepared", "-c", "16", "-j", "2", "-T", str(max(1, round(seconds))))
    return float(next(line for line in out.splitlines() if line.startswith("tps")).split()[2])


class World:
    """PostgreSQL, and one market at a time in a database of its own."""

    def __init__(self, options):
        self.options = options
        self.rounds = 2 if options.quick else options.rounds
        self.seconds = 2 if options.quick else options.seconds
        self.postgres = PrivatePostgres(HOME / "postgres", DATABASE_PORT)
        self.market_of = None
        self.demo = None
        self.children = []

    def start_postgres(self):
        if self.postgres.running():
            return
        say(f"PostgreSQL on 127.0.0.1:{DATABASE_PORT}")
        self.postgres.start(settings=["max_connections=200"])

    def prepare_pgbench(self):
        self.start_postgres()
        self.postgres.create("pgbench")
        if not self.postgres.sql("select 1 from pg_class where relname = 'pgbench_accounts'", "pgbench"):
            note("pgbench -i -s 50")
            pgbench(self.postgres, 0, "-i", "-s", "50", "-q")

    def market(self, name, nodes=False):
        """A fresh market with developers that have money; `nodes`: demo engine, two nodes and a client too."""
        if self.market_of == name:
            return self.demo
        self.stop_market()
        self.start_postgres()
        database = f"bench_{name}"
        self.postgres.sql(f'drop database if exists "{database}" with (force)')
        home = HOME / name
        shutil.rmtree(home, ignore_errors=True)
        self.demo = Demo(home, Ports(MARKET_PORT, CLIENT_PORT, ENGINE_PORT), BINARIES, self.postgres.create(database),
                         token_delay_ms=0, settings=RATE)
        self.market_of = name
        self.demo.start_market()
        if nodes:
            self.demo.start_nodes()
            self.demo.start_client()
        return self.demo

    def developers(self, count=DEVELOPERS):
        """Accounts with money; the path of a file (0600) with their work keys."""
        say(f"{count} developers with money")
        market, keys, memos = Api(self.demo.market_url), [], []
        for index in range(count):
            answer = market.must("POST", "/v1/accounts", {"kind": "developer", "name": f"bench {index}", "profile": {
                "models": ["bench"], "daily_requests": 1000, "input_tokens_average": 800,
                "output_tokens_average": 300}})
            keys.append(answer["work_key"]["secret"])
            memos.append(answer["deposit_memo"])
        for memo in memos:
            market.must("POST", "/v1/dev/faucet", {"memo": memo, "amount_nano": str(DEPOSIT_NANO)})
        for key in keys:
            def credited(one=Api(self.demo.market_url, key)):
                answer = one.get("/v1/account/balance")
                return answer.status == 200 and int(answer.json["available_nano"]) > 0
            wait_for("a deposit to be credited", credited, 60, 0.1)
        path = self.demo.home / "developers.keys"
        write_secret(path, "\n".join(keys) + "\n")
        return path, keys

    def tokens(self, count):
        """Enrolment tokens of one provider, in a file (0600)."""
        provider = self.provider()
        api = Api(self.demo.market_url, provider)
        path = self.demo.home / "tokens"
        made = [api.must("POST", "/v1/nodes/enrolments", {})["token"] for _ in range(count)]
        write_secret(path, "\n".join(made) + "\n")
        return path

    def provider(self):
        if "bench_provider" not in self.demo.state:
            answer = Api(self.demo.market_url).must("POST", "/v1/accounts", {
                "kind": "provider", "name": "Bench House", "profile": {
                    "gpu_model": "H100", "gpu_count": 8, "vram_gib": 80, "cpu_tee": "tdx", "ram_gib": 512,
                    "disk_gib": 4000, "bandwidth_mbps": 10000, "region": "eu-west", "hours_available": 24}})
            self.demo.state["bench_provider"] = answer["management_key"]["secret"]
        return self.demo.state["bench_provider"]

    def supply(self, market, nodes, offers, slots):
        """Nodes that only offer; they stay until the market stops."""
        say(f"{nodes} nodes with {nodes * offers:,} offers, {nodes * offers * slots:,} slots")
        child = subprocess.Popen([BINARIES / "relay_bench", "supply", "--market-url", self.demo.market_url, "--tokens",
                                  self.tokens(nodes), "--market", market, "--offers", str(offers), "--slots",
                                  str(slots)],
                                 stdout=subprocess.PIPE, text=True)
        self.children.append(child)
        if child.stdout.readline().strip() != "ready":
            raise Failure("the supply did not come up")
        name = market.replace(":", "%3A")

        def listed():
            book = Api(self.demo.market_url).get(f"/v1/markets/{name}/book?depth=1")
            return book.status == 200 and book.json["offers"]
        wait_for("offers in the book", listed, 30)

    def metric(self, name):
        text = Api(self.demo.market_url).get("/metrics", timeout=30).body.decode()
        return float(next(line for line in text.splitlines() if line.startswith(name + " ")).split()[1])

    def wait_for_projector(self):
        wait_for("the projector to catch up", lambda: self.metric("cocoon_projector_lag_entries") == 0, 300, 0.1)

    def wal_bytes(self):
        return int(self.postgres.sql("select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')")[0][0])

    def pid(self):
        return self.demo.market().pid()

    def cpu_seconds(self):
        """CPU time so far of the market and of PostgreSQL's living processes."""
        postmaster = int((self.postgres.data / "postmaster.pid").read_text().split()[0])
        market, database = 0, 0
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            try:
                name, rest = stat.read_text().rsplit(")", 1)
            except OSError:
                continue
            fields = rest.split()
            used = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            if int(name.split()[0]) == self.pid():
                market = used
            elif int(fields[1]) == postmaster:
                database += used
        return market, database

    def pin_market(self, cpus):
        subprocess.run(["taskset", "-a", "-p", "-c", cpus, str(self.pid())], check=True, stdout=subprocess.DEVNULL)

    def stop_market(self):
        for child in self.children:
            child.terminate()
            child.wait()
        self.children = []
        if self.demo:
            for program in self.demo.programs():
                if program.pid():
                    program.stop(60)
        self.demo = self.market_of = None

    def stop(self):
        self.stop_market()
        self.postgres.stop()


class LagWatch:
    """The projector's worst lag in seconds while a block runs."""

    def __init__(self, world):
        self.world, self.worst, self.done = world, 0.0, threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)

    def watch(self):
        while not self.done.wait(0.25):
            try:
                self.worst = max(self.worst, self.world.metric("cocoon_projector_lag_seconds"))
            except (OSError, StopIteration):
                continue

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        self.thread.join()


# ---- The figures --------------------------------------------------------------------------------

PLACE = {"market": "inference:bench", "quantity": {"prompt_tokens": 800, "completion_tokens": 300, "requests": 1},
         "constraints": {"tiers": ["simulated"], "regions": ["eu-west", "us-east"]}, "cap_total_nano": "1000000",
         "time_in_force": "immediate", "job_seconds": 3600}


def place(world):
    """Placed and matched requests, durable: POST /v1/requests until its answer, against pgbench TPC-B."""
    world.prepare_pgbench()
    world.market("place")
    keys, _ = world.developers()
    world.supply("inference:bench", nodes=8, offers=64, slots=4096)
    anchor = "TPC-B tps, 16 clients"
    at64 = Figure("placed and matched, 64 connections", "req/s", "ratio", aim=3.5, anchor_name=anchor)
    at256 = Figure("placed and matched, 256 connections", "req/s", "ratio", aim=5, anchor_name=anchor)
    figures = {64: at64, 256: at256}
    p50 = {c: Figure(f"… p50 of one, {c} connections", "ms", better="lower") for c in figures}
    p99 = {c: Figure(f"… p99 of one, {c} connections", "ms", better="lower") for c in figures}
    wal = Figure("WAL per placed request, projection included", "bytes", better="lower", aim=1200)
    lag = Figure("projector's worst lag under that load", "s", better="lower", aim=1)
    caught_up = Figure("… until it has caught up afterwards", "s", better="lower")
    market_cpu = Figure("CPU of the market per placed request", "µs", better="lower")
    database_cpu = Figure("CPU of PostgreSQL per placed request, projection included", "µs", better="lower")
    url = world.demo.market_url + "/v1/requests"
    load(url, 1, 64, PLACE, keys, idempotent=True)  # warm
    world.wait_for_projector()
    for number_of_round in range(world.rounds):
        for connections, figure in figures.items():
            tps = tpc_b(world.postgres, world.seconds)
            before, cpu = (world.wal_bytes(), world.metric("cocoon_matches_total")), world.cpu_seconds()
            with LagWatch(world) as watch:
                found = load(url, world.seconds, connections, PLACE, keys, idempotent=True)
            begin = time.monotonic()
            world.wait_for_projector()
            caught_up.add(time.monotonic() - begin)
            matches = world.metric("cocoon_matches_total") - before[1]
            wal.add((world.wal_bytes() - before[0]) / matches)
            for used, earlier, each in zip(world.cpu_seconds(), cpu, (market_cpu, database_cpu)):
                each.add((used - earlier) / matches * 1e6)
            lag.add(watch.worst)
            figure.add(found["per_second"], tps)
            p50[connections].add(found["p50_us"] / 1000)
            p99[connections].add(found["p99_us"] / 1000)
            note(f"round {number_of_round + 1}, {connections} connections: {found['per_second']:,.0f} req/s,"
                 f" TPC-B {tps:,.0f} tps,"
                 f" {found['per_second'] / tps:.2f}×, {wal.values[-1]:,.0f} B of WAL, lag {watch.worst:.2f} s,"
                 f" CPU {market_cpu.values[-1]:.0f} + {database_cpu.values[-1]:.0f} µs")
    return [at64, p50[64], p99[64], at256, p50[256], p99[256], wal, lag, caught_up, market_cpu, database_cpu]


def start_nginx():
    home = HOME / "nginx"
    home.mkdir(parents=True, exist_ok=True)
    answer = '{"id":"req_123456","state":"matched","job":"job_123456","price":"1000"}'
    (home / "nginx.conf").write_text(f"""
daemon off; master_process off; worker_processes 1; pid {home}/nginx.pid; error_log {home}/error.log;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {home}/body; proxy_temp_path {home}/proxy;
fastcgi_temp_path {home}/fastcgi; uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
default_type application/json;
server {{ listen 127.0.0.1:{NGINX_PORT}; location / {{ return 200 '{answer}'; }} }} }}
""")
    child = subprocess.Popen(["nginx", "-c", str(home / "nginx.conf"), "-p", str(home)], stderr=subprocess.DEVNULL)
    wait_for("nginx", lambda: Api(f"http://127.0.0.1:{NGINX_PORT}").up("/"), 10)
    return child


def http(world):
    """HTTP and JSON without the database: POST /v1/requests:whatif with an API key, the same body as a real
    request, through admission, strict parsing, the lane and the matching of a real book, answered in JSON."""
    world.market("main", nodes=True)
    keys = world.demo.home / "demo/work.key"
    nginx = start_nginx()
    body = {**PLACE, "market": f"inference:{MODEL}"}
    what_if = Figure("HTTP + JSON, no database: what-if, 64 connections", "req/s", "ratio", aim=0.5,
                     anchor_name="nginx return 200")
    book = Figure("HTTP, no database: GET of the book, 64 connections", "req/s", "ratio",
                  anchor_name="nginx return 200")
    p50 = Figure("… p50 of a what-if", "ms", "added", better="lower", anchor_name="nginx")
    cpu = Figure("CPU of the market per what-if", "µs", better="lower")
    base = world.demo.market_url
    try:
        for _ in range(world.rounds):
            anchor = load(f"http://127.0.0.1:{NGINX_PORT}/", world.seconds, 64, body)
            before = world.cpu_seconds()[0]
            found = load(base + "/v1/requests:whatif", world.seconds, 64, body, keys)
            cpu.add((world.cpu_seconds()[0] - before) * 1e6 / (found["per_second"] * (found["seconds"] + 0.5)))
            read = load(base + f"/v1/markets/inference%3A{MODEL}/book", world.seconds, 64, keys=keys, method="GET")
            what_if.add(found["per_second"], anchor["per_second"])
            book.add(read["per_second"], anchor["per_second"])
            p50.add(found["p50_us"] / 1000, anchor["p50_us"] / 1000)
            note(f"what-if {found['per_second']:,.0f}, book {read['per_second']:,.0f}, "
                 f"nginx {anchor['per_second']:,.0f} req/s")
    finally:
        nginx.send_signal(signal.SIGTERM)
        nginx.wait()
    return [what_if, p50, cpu, book]


def relay(world):
    """The relay with metering on against the same producer and consumers without it."""
    world.market("main", nodes=True)
    keys, _ = world.developers(16)
    burst = Figure("relay, 64 streams at full speed, 200-byte chunks", "chunks/s", "ratio", aim=0.5,
                   anchor_name="direct")
    p50 = Figure("relay, 100 streams, a chunk each 20 ms: p50 of a chunk", "µs", "added", "lower", 40, "direct")
    p99 = Figure("… p99 of a chunk", "µs", "added", "lower", 500, "direct")
    cpu = Figure("CPU of the market per relayed chunk at full speed", "µs", better="lower")
    spread = ["--cpu", "1"] if os.cpu_count() > 1 else []
    if spread:
        world.pin_market("0")
    url = world.demo.market_url

    def measure(mode, number_of_run, *options):
        more = []
        if mode == "relay":
            more = ["--market-url", url, "--tokens", world.tokens(1), "--keys", keys, "--market",
                    f"inference:relay-{number_of_run}"]
        return run_json(BINARIES / "relay_bench", mode, *more, "--seconds", world.seconds, *options, *spread)

    try:
        for index in range(world.rounds):
            full = ["--consumers", 64]
            direct, before = measure("direct", 0, *full), world.cpu_seconds()[0]
            relayed = measure("relay", f"burst-{time.time_ns()}", *full)
            # A second of warm-up is not counted as chunks, but as CPU.
            cpu.add((world.cpu_seconds()[0] - before) * 1e6 / (relayed["chunks_per_second"] * (relayed["seconds"] + 1)))
            burst.add(relayed["chunks_per_second"], direct["chunks_per_second"])
            paced = ["--consumers", 100, "--pace-us", 20_000]
            direct, relayed = measure("direct", 0, *paced), measure("relay", f"paced-{time.time_ns()}", *paced)
            p50.add(relayed["p50_us"], direct["p50_us"])
            p99.add(relayed["p99_us"], direct["p99_us"])
            note(f"round {index + 1}: {burst.values[-1]:,.0f} chunks/s of {burst.anchors[-1]:,.0f}; "
                 f"p50 {p50.values[-1]:.0f} µs "
                 f"({p50.anchors[-1]:.0f}), p99 {p99.values[-1]:.0f} µs ({p99.anchors[-1]:.0f}); "
                 f"{cpu.values[-1]:.1f} µs of CPU a chunk")
    finally:
        if spread:
            world.pin_market(f"0-{os.cpu_count() - 1}")
    return [burst, cpu, p50, p99]


def exchange(world):
    """A whole sealed exchange (client, market, node, engine and back; receipt and capture included) against the
    same engine called directly."""
    world.market("main", nodes=True)
    say = {"model": MODEL, "max_tokens": 48, "messages": [{"role": "user", "content": "Who can read this prompt?"}]}
    figures = []

    def alternate(name, connections, body, key, aim=None, unit="ms"):
        middle = Figure(f"{name}, p50", unit, "added", "lower", aim, "engine itself")
        tail = Figure("… p99", unit, "added", "lower", None, "engine itself")
        for _ in range(world.rounds):
            direct = load(world.demo.engine_url + "/v1/chat/completions", world.seconds / 2, connections, body)
            # The two nodes have 16 slots in all; a few are left free, for what a run before has not ended yet.
            sealed = load(world.demo.client_url + "/v1/chat/completions", world.seconds, connections, body,
                          must_succeed=connections == 1)
            if sealed["good"] < sealed["answers"]:
                note(f"{name}: {sealed['statuses']}")
            middle.add(sealed[key.format(50)] / 1000, direct[key.format(50)] / 1000)
            tail.add(sealed[key.format(99)] / 1000, direct[key.format(99)] / 1000)
            if connections == 12 and key == "p{}_us":
                rate.add(sealed["per_second"])
        note(f"{name}: {statistics.median(middle.values):.2f} ms, direct {statistics.median(middle.anchors):.2f} ms")
        figures.extend([middle, tail])

    rate = Figure("sealed exchanges, 12 at once", "per s")
    alternate("sealed exchange, one after another", 1, say, "p{}_us", aim=3)
    alternate("sealed exchange, 12 at once", 12, say, "p{}_us")
    streamed = {**say, "stream": True}
    alternate("first byte of a sealed stream, one after another", 1, streamed, "first_p{}_us")
    alternate("first byte of a sealed stream, 12 at once", 12, streamed, "first_p{}_us")
    return [*figures, rate]


def restart(world):
    """Seconds from starting the process to /readyz with 100,000 resting requests."""
    world.market("restart")
    _, keys = world.developers(8)
    world.supply("inference:bench", nodes=1, offers=1, slots=1)
    count = 10_000 if world.options.quick else 100_000
    until = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=6)).strftime("%Y-%m-%dT%H:%M:%SZ")
    order = {**PLACE, "cap_total_nano": "1", "time_in_force": "rest", "rest_until": until}
    say(f"placing {count:,} requests that rest")

    def resident():
        status = pathlib.Path(f"/proc/{world.pid()}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) * 1024

    def seed(key, orders):
        api = Api(world.demo.market_url, key)
        for begin in range(0, orders, 250):
            batch = {"requests": [order] * min(250, orders - begin)}
            answer = api.must("POST", "/v1/requests:batch", batch, timeout=60)
            if any(result["status"] != 201 for result in answer["results"]):
                raise Failure(f"a request did not rest: {answer['results'][0]}")

    before = resident()
    begin = time.monotonic()
    for key in keys:
        seed(key, count // len(keys))
    note(f"placed in {time.monotonic() - begin:.1f} s")
    world.wait_for_projector()
    figures = {signal.SIGTERM: Figure(f"restart with {count:,} open requests, after SIGTERM", "s",
                                        better="lower", aim=2),
               signal.SIGKILL: Figure("… after kill -9", "s", better="lower", aim=2)}
    memory = Figure("memory of the server per resting request (RSS, journal buffers included)", "bytes", better="lower")
    memory.add((resident() - before) / count)
    for child in world.children:  # its relay would only reconnect
        child.terminate()
        child.wait()
    world.children = []
    for _ in range(world.rounds):
        for number_of_signal, figure in figures.items():
            program = world.demo.market()
            program.stop() if number_of_signal == signal.SIGTERM else program.kill()
            program = world.demo.market()
            begin = time.monotonic()
            program.start()
            wait_for("the market to be ready", Api(world.demo.market_url).up, 120, 0.002)
            figure.add(time.monotonic() - begin)
            note(f"{figure.name}: {figure.values[-1]:.2f} s")
    resting = Api(world.demo.market_url).must("GET", "/v1/markets/inference%3Abench/book?depth=1")
    note(f"the book afterwards: {json.dumps(resting)[:200]}")
    return [*figures.values(), memory]


def sealing(world):
    """Microseconds of the cryptography, each with OpenSSL's own primitive beside it."""
    del world
    found = run_json(BINARIES / "sealing_bench")
    rows = [("seal a request (2 kB)", "request_seal", "anchor_x25519", "one X25519"),
            ("open a request", "request_open", "anchor_x25519", "one X25519"),
            ("seal and open one 200-byte chunk", "chunk_seal_open", "anchor_aes_gcm_chunk_seal_open",
             "bare AES-GCM twice"),
            ("sign a receipt", "receipt_sign", "anchor_ed25519_sign", "one Ed25519 signature"),
            ("verify a receipt", "receipt_verify", "anchor_ed25519_verify", "one Ed25519 verification"),
            ("sign, verify and cosign a receipt", "receipt_sign_verify_cosign", "anchor_ed25519_verify",
             "one Ed25519 verification")]
    figures = []
    for name, key, anchor, anchor_name in rows:
        figure = Figure(name, "µs", "ratio", "lower", None, anchor_name)
        figure.add(found[key], found[anchor])
        figures.append(figure)
    return figures


def attestation(world):
    """Verdicts on evidence per second and core, beside OpenSSL verifying as many signatures and nothing else."""
    del world
    found = run_json(BINARIES / "attestation_bench")
    rows = [("verdicts on a TDX quote v4", "tdx_v4", "its 13 P-256 signatures"),
            ("verdicts on a TDX quote v5 (TD 1.5)", "tdx_v5", "its 13 P-256 signatures"),
            ("verdicts on a SEV-SNP report", "snp", "its 4 RSA-4096 and 1 P-384 signatures"),
            ("verdicts on an NVIDIA GPU's report", "gpu_report", "its 27 P-384 signatures"),
            ("verdicts on NVIDIA's tokens, two GPUs", "gpu_token", "its 4 P-384 signatures"),
            ("verdicts on a TD with eight GPUs", "node_of_8_gpus", "its 13 P-256 and 104 P-384 signatures")]
    figures = []
    for name, key, anchor_name in rows:
        figure = Figure(name, "per s and core", "ratio", anchor_name=anchor_name)
        for verdict, anchor in zip(found[key]["verdict"], found[key]["anchor"]):
            figure.add(1e6 / verdict, 1e6 / anchor)
        figures.append(figure)
    return figures


def engine(world):
    """The matching engine alone, against plain std::map books in the same program: one with constraints, holds
    and events, one with all of the engine's duties, one of bare integers."""
    program = BINARIES / "engine_bench"
    if not program.exists():
        raise Failure("engine_bench is not built")
    sizes = ["1000", "100000"] if world.options.quick else []
    done = subprocess.run([program, *sizes], stdout=subprocess.PIPE, text=True, check=True, timeout=3600)
    rows, ratios = {}, {}
    for line in done.stdout.splitlines():
        pair = r"(\d+)/(\d+) \| "
        if found := re.match(r"\| (\d+) \| (\w+)[^|]*\| ([\d.]+) \| " + 3 * pair + r"(\d+) ", line):
            rows[int(found[1]), found[2]] = [float(cell) for cell in found.groups()[2:]]
        elif found := re.match(r"ratio at (\d+) resting: ([\d.]+) of the plain engine, ([\d.]+) with equal duties, "
                               r"([\d.]+) of the bare", line):
            ratios[int(found[1])] = [float(ratio) for ratio in found.groups()[1:]]
    note(done.stdout)
    figures, aims = [], {1_000: 1.5, 100_000: 2, 1_000_000: 3}
    for size, (plain_ratio, equal_ratio, bare_ratio) in ratios.items():
        for kind, name, ratio, aim in (("equal", "map + deque, all the engine's duties", equal_ratio, aims[size]),
                                       ("plain", "map + deque, constraints, holds, events", plain_ratio, aims[size]),
                                       ("bare", "map + deque of bare integers", bare_ratio, None)):
            figure = Figure(f"engine, {size:,} resting", "M op/s", "ratio", aim=aim, anchor_name=name, told=ratio)
            figure.add(rows[size, "engine"][0], rows[size, kind][0])
            figures.append(figure)
        memory = Figure(f"… bytes per resting order, {size:,}", "bytes", "ratio", "lower", None,
                        "map + deque, all the engine's duties")
        memory.add(rows[size, "engine"][7], rows[size, "equal"][7])
        figures.append(memory)
    largest = max(ratios)
    cancel = Figure(f"… p99 of a cancel, {largest:,} against 1,000 resting", "ns", "ratio", "lower", 4,
                    "1,000 resting")
    cancel.add(rows[largest, "engine"][6], rows[1_000, "engine"][6])
    return [*figures, cancel]


def journal(world):
    """The durable part alone, without HTTP: writer, journal and projector in one process, 10,000 accounts."""
    world.prepare_pgbench()
    rate = Figure("placed and matched without HTTP, 10,000 accounts", "req/s", "ratio",
                  anchor_name="TPC-B tps, 16 clients")
    wal = Figure("… WAL per request", "bytes", better="lower")
    environment = {**os.environ, "COCOON_BENCH_DATABASE_URL": world.postgres.url("postgres")}
    bench = subprocess.Popen([BINARIES / "journal_bench"], env=environment, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True)
    try:
        note(bench.stdout.readline())  # warm
        for _ in range(world.rounds):
            transactions = tpc_b(world.postgres, world.seconds)
            bench.stdin.write("\n")
            bench.stdin.flush()
            told = bench.stdout.readline()
            note(told)
            found = re.match(r"round: (\d+) requests/s, WAL (\d+) B", told)
            if found is None:
                raise Failure("journal_bench ended early")
            rate.add(float(found[1]), transactions)
            wal.add(float(found[2]))
        note(bench.communicate(timeout=600)[0])
    finally:
        bench.kill()
    if bench.wait() != 0:
        raise Failure(f"journal_bench ended with {bench.returncode}")
    return [rate, wal]


FIGURES = {"engine": engine, "sealing": sealing, "attestation": attestation, "place": place, "journal": journal,
           "http": http, "relay": relay, "exchange": exchange, "restart": restart}


# ---- Entry --------------------------------------------------------------------------------------

def machine():
    model = next(line.split(":")[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
                 if line.startswith("model name"))
    memory = int(pathlib.Path("/proc/meminfo").read_text().split()[1]) // (1 << 20)
    return f"{os.cpu_count()} × {model}, {memory} GiB, Linux {os.uname().release}, " \
           f"load {os.getloadavg()[0]:.1f} at the start"


def main():
    parser = argparse.ArgumentParser(prog="./deploy/bench", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="name", help="only these: " + ", ".join(FIGURES))
    parser.add_argument("--quick", action="store_true", help="two short rounds: shows that it runs, not how fast")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=5, help="of one measurement")
    parser.add_argument("--write", action="store_true", help="put the table into BENCHMARKS.md")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in FIGURES]
    if unknown:
        parser.error(f"no such figure: {', '.join(unknown)} (known: {', '.join(FIGURES)})")
    HOME.mkdir(parents=True, exist_ok=True)
    conditions = machine()
    world, figures, failures = World(options), [], []
    try:
        for name in options.names or FIGURES:
            say(f"{name}: {' '.join(FIGURES[name].__doc__.split())}")
            try:
                figures += FIGURES[name](world)
                (HOME / "table.md").write_text(markdown(figures))  # what there is, should the rest be cut short
            except (Failure, OSError, ArithmeticError, LookupError, ValueError, subprocess.SubprocessError) as failure:
                failures.append(f"{name}: {type(failure).__name__}: {failure}")
                note(failures[-1])
                world.stop_market()
    finally:
        world.stop()
    stamp = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    print(f"\n{stamp} · {conditions}\n\n" + plain(figures))
    if options.write and figures:
        page = ROOT / "BENCHMARKS.md"
        before, rest = page.read_text().split(MARKERS[0])
        after = rest.split(MARKERS[1])[1]
        page.write_text(f"{before}{MARKERS[0]}\n{stamp} · {conditions}\n\n{markdown(figures)}{MARKERS[1]}{after}")
    for failure in failures:
        print(f"NOT MEASURED  {failure}")
    print(f"bench: {len(figures)} figures, {len(failures)} groups not measured")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
