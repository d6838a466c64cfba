#!/usr/bin/env python3
"""Starts and stops the demo market that ./deploy/up promises: PostgreSQL, the market, a demo engine, two
nodes, a client, two accounts with money, and one job that goes the whole way. Also lends the tests their
database. Everything it makes lives under var/; running it again changes nothing that already works."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from stack import Api, Failure, PrivatePostgres, Program, ROOT, free_port, write_secret  # noqa: E402

VAR = ROOT / "var"
DATABASE_PORT = int(os.environ.get("COCOON_DATABASE_PORT", "54329"))
MODEL = "demo-model"
DEPOSIT_NANO = 5_000_000_000
# Two sellers of the same model: the cheaper one wins until it is full or away.
NODES = {
    "node-a": {"region": "eu-west", "country": "NL", "prompt": 20_000_000, "completion": 60_000_000},
    "node-b": {"region": "us-east", "country": "US", "prompt": 25_000_000, "completion": 75_000_000},
}


def step(text):
    print(f"\033[1m==> {text}\033[0m", flush=True)


def done(text):
    print(f"    {text}", flush=True)


class Ports:
    """Where the programs of one market listen, all on loopback."""

    def __init__(self, market, client, engine):
        self.market, self.client, self.engine = market, client, engine

    @classmethod
    def of_up(cls):
        return cls(int(os.environ.get("COCOON_MARKET_PORT", "8080")),
                   int(os.environ.get("COCOON_CLIENT_PORT", "8081")),
                   int(os.environ.get("COCOON_ENGINE_PORT", "8090")))


class Demo:
    """One whole market below `home`. The end-to-end tests start theirs with other ports, binaries and
    database; every method can be called again."""

    def __init__(self, home, ports, binaries, database_url, token_delay_ms=15, settings=None):
        self.home, self.ports, self.binaries = pathlib.Path(home), ports, pathlib.Path(binaries)
        self.database_url = database_url
        self.token_delay_ms = token_delay_ms
        self.settings = settings or {}
        self.run = self.home / "run"
        self.market_url = f"http://127.0.0.1:{ports.market}"
        self.client_url = f"http://127.0.0.1:{ports.client}"
        self.engine_url = f"http://127.0.0.1:{ports.engine}"
        self.state_file = self.home / "demo/state.json"
        self.state = json.loads(self.state_file.read_text()) if self.state_file.exists() else {}

    def save(self):
        write_secret(self.state_file, json.dumps(self.state, indent=2) + "\n")

    # ---- programs ------------------------------------------------------------------------------

    def market(self):
        return Program("cocoon-market", [self.binaries / "cocoon-market", "serve"], self.run, {
            "DATABASE_URL": self.database_url,
            "MARKET_LISTEN": f"127.0.0.1:{self.ports.market}",
            "MARKET_PUBLIC_URL": self.market_url,
            "MARKET_KEY_FILE": str(self.home / "market/market.key"),
            "MARKET_ADMIN_TOKEN_FILE": str(self.home / "market/admin.token"),
            "MARKET_SIMULATED_TIER": "allow",
            "MARKET_CHAIN": "dev",
            "MARKET_CHAIN_FILE": str(self.home / "market/dev-chain.txt"),
            "MARKET_PAYOUT_MIN_NANO": "1",  # demo jobs earn little, and this chain has no fees
            **self.settings,
        })

    def engine(self):
        return Program("cocoon-demo-engine", [self.binaries / "cocoon-demo-engine", "--listen",
                                              f"127.0.0.1:{self.ports.engine}", "--model", MODEL,
                                              "--token-delay-ms", self.token_delay_ms], self.run)

    def node(self, name):
        return Program(name, [self.binaries / "cocoon-node", "run", "--config", self.node_config(name)], self.run)

    def client(self):
        return Program("cocoon-client", [self.binaries / "cocoon-client", "serve", "--config",
                                         self.home / "demo/client.json"], self.run)

    def programs(self):
        return [self.client(), *(self.node(name) for name in NODES), self.engine(), self.market()]

    def node_config(self, name):
        return self.home / "demo" / name / "node.json"

    # ---- up ------------------------------------------------------------------------------------

    def start_market(self):
        (self.home / "market").mkdir(parents=True, exist_ok=True)
        step("migrating the schema")
        market = self.market()
        migrated = subprocess.run([self.binaries / "cocoon-market", "migrate"], text=True, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, env={**os.environ, **market.environment})
        if migrated.returncode != 0:
            raise Failure("cocoon-market migrate failed:\n" + migrated.stdout)
        step(f"cocoon-market on {self.market_url}")
        market.start()
        market.wait_until("the market to be ready", Api(self.market_url).up)

    def sign_up(self, kind, name, profile):
        """An account and its keys, made once and kept in var/demo/state.json (0600)."""
        known = self.state.get(kind)
        if known and Api(self.market_url, known["work_key"]).get("/v1/account").status == 200:
            return known
        answer = Api(self.market_url).must("POST", "/v1/accounts", {
            "kind": kind, "name": name, "profile": profile})
        self.state[kind] = {
            "account": answer["account"]["id"],
            "deposit_memo": answer["deposit_memo"],
            "management_key": answer["management_key"]["secret"],
            "work_key": answer["work_key"]["secret"],
        }
        self.save()
        return self.state[kind]

    def start_nodes(self):
        provider = self.sign_up("provider", "Demo GPU House", {
            "gpu_model": "H100", "gpu_count": 2, "vram_gib": 80, "cpu_tee": "tdx", "ram_gib": 512,
            "disk_gib": 4000, "bandwidth_mbps": 10000, "region": "eu-west", "hours_available": 24})
        step(f"cocoon-demo-engine and {len(NODES)} nodes (simulated tier: no hardware is proven)")
        self.engine().start()
        self.engine().wait_until("the demo engine", lambda: Api(self.engine_url).up("/v1/models"))
        for name, node in NODES.items():
            self.write_node_config(name, node)
            program = self.node(name)
            if not program.pid() and not (self.home / "demo" / name / "state").exists():
                token = Api(self.market_url, provider["management_key"]).must("POST", "/v1/nodes/enrolments", {})
                self.enrol(name, token["token"])
            program.start()
        markets = Api(self.market_url)

        def both_offers():
            book = markets.get(f"/v1/markets/inference%3A{MODEL}/book")
            return book.status == 200 and sum(level["offers"] for level in book.json["offers"]) >= len(NODES)
        self.node("node-b").wait_until("both offers in the book", both_offers, 60)

    def write_node_config(self, name, node):
        path = self.node_config(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({
            "market": {"url": self.market_url},
            "name": name, "region": node["region"], "country": node["country"],
            "gpu": {"model": "H100", "count": 1},
            "hardware": {"cpu": "demo", "vram_gib": 80, "ram_gib": 512, "disk_gib": 4000, "bandwidth_mbps": 10000},
            "state_directory": "state",
            "attestation": {"tier": "simulated", "platform_id": f"demo-{name}"},
            "engine": {"url": self.engine_url + "/v1"},
            "offers": [{
                "market": f"inference:{MODEL}", "engine_model": MODEL, "slots": 8,
                "price": {"prompt_nano_per_mtok": str(node["prompt"]),
                          "cached_nano_per_mtok": str(node["prompt"] // 4),
                          "completion_nano_per_mtok": str(node["completion"]),
                          "reasoning_nano_per_mtok": str(node["completion"]),
                          "request_nano": "1000"},
                "context_tokens_max": 32768, "output_tokens_max": 8192,
                "data_policy": ["zero_retention", "no_training"]}],
        }, indent=2) + "\n")

    def enrol(self, name, token):
        enrolled = subprocess.run([self.binaries / "cocoon-node", "enrol", "--config", self.node_config(name),
                                   "--token", "-"], input=token + "\n", text=True, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT)
        if enrolled.returncode != 0:
            raise Failure(f"{name} could not enrol:\n{enrolled.stdout}")

    def start_client(self):
        developer = self.sign_up("developer", "Demo Developer", {
            "models": [MODEL], "daily_requests": 10000, "input_tokens_average": 800,
            "output_tokens_average": 300})
        market = Api(self.market_url, developer["work_key"])
        if int(market.must("GET", "/v1/account/balance")["available_nano"]) < DEPOSIT_NANO // 10:
            Api(self.market_url).must("POST", "/v1/dev/faucet", {
                "memo": developer["deposit_memo"], "amount_nano": str(DEPOSIT_NANO)})

            def credited():
                return int(market.must("GET", "/v1/account/balance")["available_nano"]) >= DEPOSIT_NANO // 10
            self.market().wait_until("the deposit to be credited", credited)
        write_secret(self.home / "demo/work.key", developer["work_key"] + "\n")
        (self.home / "demo/client.json").write_text(json.dumps({
            "market_url": self.market_url,
            "api_key_file": "work.key",
            "listen": f"127.0.0.1:{self.ports.client}",
            "receipts_directory": "receipts",
            "tiers": ["simulated"],
        }, indent=2) + "\n")
        step(f"cocoon-client on {self.client_url}/v1")
        client = self.client()
        client.start()
        client.wait_until("the client", lambda: Api(self.client_url).up("/v1/models"))

    def first_job(self):
        step("one job: request, match, seal, relay, answer, receipt, payment")
        answer = Api(self.client_url).call("POST", "/v1/chat/completions", {
            "model": MODEL, "max_tokens": 64,
            "messages": [{"role": "user", "content": "Who can read this prompt?"}]}, timeout=60)
        if answer.status != 200:
            raise Failure(f"the first job was refused: {answer!r}")
        body = answer.json
        done("answer  " + body["choices"][0]["message"]["content"].strip().replace("\n", " ")[:90])
        done(f"usage   {body['usage']['prompt_tokens']} + {body['usage']['completion_tokens']} tokens, "
             f"{body['usage']['cost_nano']} nanoTON")
        done(f"receipt {answer.headers['X-Cocoon-Receipt']}")
        return answer.headers["X-Cocoon-Receipt"]

    def print_next(self, receipt):
        client = "./build/release/bin/cocoon-client"
        print(f"""
\033[1mThe market is open.\033[0m
    public pages    {self.market_url}/docs    {self.market_url}/v1/markets
    OpenAI base URL {self.client_url}/v1      (any API key: the sidecar holds the real one)
    keys            {self.state_file} (developer, provider), {self.home}/market/admin.token
    logs            {self.run}/*.log

\033[1mTry\033[0m
    curl {self.client_url}/v1/chat/completions -H 'Content-Type: application/json' \\
        -d '{{"model":"{MODEL}","stream":true,"messages":[{{"role":"user","content":"Hello"}}]}}'
    {client} book inference:{MODEL} --config var/demo/client.json
    {client} verify {receipt} --config var/demo/client.json
    ./deploy/down
""")

    def up(self):
        self.start_market()
        self.start_nodes()
        self.start_client()

    def down(self):
        for program in self.programs():
            if program.pid():
                step(f"stopping {program.name}")
                program.stop()


def private_postgres():
    return None if "DATABASE_URL" in os.environ else PrivatePostgres(VAR / "postgres", DATABASE_PORT)


def demo(postgres):
    url = postgres.url("cocoon") if postgres else os.environ["DATABASE_URL"]
    return Demo(VAR, Ports.of_up(), ROOT / "build/release/bin", url)


def up():
    postgres = private_postgres()
    if postgres:
        step(f"PostgreSQL on 127.0.0.1:{DATABASE_PORT}")
        postgres.start()
        postgres.create("cocoon")
        done(f"data in {postgres.data}")
    market = demo(postgres)
    market.up()
    market.print_next(market.first_job())
    print("up: the market, 2 nodes and the client are running")


def down(erase):
    postgres = private_postgres()
    if postgres and not postgres.password_file.exists():
        print("down: nothing was started here")
        return
    demo(postgres).down()
    if postgres:
        step("stopping PostgreSQL")
        postgres.stop()
    if erase:
        if postgres:
            postgres.erase()
        for name in ("demo", "market", "run"):
            shutil.rmtree(VAR / name, ignore_errors=True)
    print("down: everything that up started is stopped" + (" and erased" if erase else ""))


def postgres_of_tests():
    """The tests' own cluster, on whatever port was free when it was first needed."""
    port_file = VAR / "test/postgres.port"
    if not port_file.exists():
        port_file.parent.mkdir(parents=True, exist_ok=True)
        port_file.write_text(str(free_port()))
    return PrivatePostgres(VAR / "test/postgres", int(port_file.read_text()))


def test_database():
    """Starts the tests' own cluster and prints the shell line that tells the tests where it is."""
    postgres = postgres_of_tests()
    postgres.start(settings=["fsync=on", "max_connections=200"])
    print(f"export COCOON_TEST_DATABASE_URL='{postgres.url('postgres')}'")


def test_database_stop():
    postgres_of_tests().stop()
    (VAR / "test/postgres.port").unlink(missing_ok=True)


def main():
    command, options = sys.argv[1:2], sys.argv[2:]
    try:
        if command == ["up"] and not options:
            up()
        elif command == ["down"] and options in ([], ["--erase"]):
            down(erase=bool(options))
        elif command == ["test-database"]:
            test_database()
        elif command == ["test-database-stop"]:
            test_database_stop()
        else:
            print("usage: demo.py up | down [--erase] | test-database | test-database-stop", file=sys.stderr)
            return 2
    except Failure as failure:
        print(f"\n\033[1;31m!!! {failure}\033[0m", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
