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
PAGES = ROOT / "web/dist"  # once deploy/up or deploy/test has built them
MODEL = "demo-model"
DEPOSIT_NANO = 5_000_000_000
OPERATOR_NANO = 2_000_000_000  # what the operator puts into the market's wallet to pay fees with
DEVCHAIN = ROOT / "settlement/devchain"
DEVCHAIN_NETWORK = "20261122"  # settlement/devchain/prices.mjs
# Two sellers of the same model: the cheaper one wins until it is full or away.
NODES = {
    "node-a": {"region": "eu-west", "country": "NL", "prompt": 20_000_000, "completion": 60_000_000},
    "node-b": {"region": "us-east", "country": "US", "prompt": 25_000_000, "completion": 75_000_000},
}
# What ./deploy/up shows beside them, so that it opens on a market that moves (demo_traffic.py): more sellers, and
# models of other sizes at so many percent of a node's prices. The demo engine answers for all of them.
MODELS = {MODEL: 100, "demo-mini": 30, "demo-coder": 220, "demo-large": 420}
SHOWN_NODES = {
    "node-a": {**NODES["node-a"], "models": [MODEL, "demo-mini", "demo-coder"]},
    "node-b": {**NODES["node-b"], "models": [MODEL, "demo-mini", "demo-large"]},
    "node-c": {"region": "eu-north", "country": "FI", "prompt": 18_500_000, "completion": 64_000_000,
               "gpu": "H200", "models": [MODEL, "demo-coder", "demo-large"]},
    "node-d": {"region": "sa-east", "country": "BR", "prompt": 28_000_000, "completion": 82_000_000,
               "gpu": "RTX PRO 6000", "models": [MODEL, "demo-mini"]},
    "node-e": {"region": "ap-south", "country": "IN", "prompt": 22_000_000, "completion": 69_000_000,
               "gpu": "H200", "models": [MODEL, "demo-large"]},
}


def step(text):
    print(f"\033[1m==> {text}\033[0m", flush=True)


def done(text):
    print(f"    {text}", flush=True)


def offer_of(model, node):
    prompt, completion = (node[side] * MODELS[model] // 100 for side in ("prompt", "completion"))
    return {
        "market": f"inference:{model}", "engine_model": model, "slots": 8,
        "price": {"prompt_nano_per_mtok": str(prompt), "cached_nano_per_mtok": str(prompt // 4),
                  "completion_nano_per_mtok": str(completion), "reasoning_nano_per_mtok": str(completion),
                  "request_nano": "1000"},
        "context_tokens_max": 32768, "output_tokens_max": 8192,
        "data_policy": ["zero_retention", "no_training"]}


class Ports:
    """Where the programs of one market listen, all on loopback. `chain`: the development chain's two providers."""

    def __init__(self, market, client, engine, chain=(18500, 18501)):
        self.market, self.client, self.engine, self.chain = market, client, engine, chain

    @classmethod
    def of_up(cls):
        chain = int(os.environ.get("COCOON_CHAIN_PORT", "18500"))
        return cls(int(os.environ.get("COCOON_MARKET_PORT", "8080")),
                   int(os.environ.get("COCOON_CLIENT_PORT", "8081")),
                   int(os.environ.get("COCOON_ENGINE_PORT", "8090")), (chain, chain + 1))


class Demo:
    """One whole market below `home`. The end-to-end tests start theirs with other ports, binaries and
    database; every method can be called again."""

    def __init__(self, home, ports, binaries, database_url, token_delay_ms=15, settings=None, chain=None,
                 nodes=None):
        self.home, self.ports, self.binaries = pathlib.Path(home), ports, pathlib.Path(binaries)
        self.database_url = database_url
        self.token_delay_ms = token_delay_ms
        self.settings = settings or {}
        self.nodes = nodes or NODES
        self.run = self.home / "run"
        self.market_url = f"http://127.0.0.1:{ports.market}"
        self.client_url = f"http://127.0.0.1:{ports.client}"
        self.engine_url = f"http://127.0.0.1:{ports.engine}"
        self.state_file = self.home / "demo/state.json"
        self.state = json.loads(self.state_file.read_text()) if self.state_file.exists() else {}
        known = self.state.get("chain", "dev" if self.state else None)
        if chain and known and chain != known:
            raise Failure(f"this market lives on chain {known}; ./deploy/down --erase first to begin anew on {chain}")
        self.chain = chain or known or "dev"
        self.chain_urls = [f"http://127.0.0.1:{port}" for port in ports.chain]

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
            "MARKET_ADMIN_LOGIN_FILE": str(self.home / "market/admin.login"),
            "MARKET_SIMULATED_TIER": "allow",
            "MARKET_PAYOUT_MIN_NANO": "1",  # demo jobs earn little
            **self.chain_settings(),
            **({"MARKET_WEB_ROOT": str(PAGES)} if (PAGES / "index.html").exists() else {}),
            **self.settings,
        })

    def chain_settings(self):
        if self.chain == "dev":
            return {"MARKET_CHAIN": "dev", "MARKET_CHAIN_FILE": str(self.home / "market/dev-chain.txt")}
        return {"MARKET_CHAIN": "ton",
                "MARKET_TON_ENDPOINTS": ",".join(self.chain_urls),
                "MARKET_TON_NETWORK": DEVCHAIN_NETWORK,
                "MARKET_TON_CALLS_PER_SECOND": "100",
                "MARKET_TON_WALLET_FILE": str(self.home / "market/ton-wallet.key"),
                "MARKET_RECONCILE_INTERVAL_MS": "5000"}

    def ton_chain(self):
        return Program("ton-dev-chain", ["node", DEVCHAIN / "server.mjs", "--ports",
                                         ",".join(str(port) for port in self.ports.chain), "--journal",
                                         self.home / "market/ton-chain.journal"], self.run)

    def engine(self):
        models = [word for model in MODELS for word in ("--model", model)]
        return Program("cocoon-demo-engine", [self.binaries / "cocoon-demo-engine", "--listen",
                                              f"127.0.0.1:{self.ports.engine}", *models,
                                              "--token-delay-ms", self.token_delay_ms], self.run)

    def node(self, name):
        return Program(name, [self.binaries / "cocoon-node", "run", "--config", self.node_config(name)], self.run)

    def client(self):
        return Program("cocoon-client", [self.binaries / "cocoon-client", "serve", "--config",
                                         self.home / "demo/client.json"], self.run)

    def traffic(self):
        return Program("demo-traffic", [sys.executable, ROOT / "deploy/demo_traffic.py", self.market_url,
                                        self.client_url, self.state_file], self.run)

    def programs(self):
        chain = [self.ton_chain()] if self.chain == "ton-dev" else []
        return [self.traffic(), self.client(), *(self.node(name) for name in self.nodes), self.engine(), self.market(),
                *chain]

    def node_config(self, name):
        return self.home / "demo" / name / "node.json"

    # ---- up ------------------------------------------------------------------------------------

    def start_chain(self):
        """The real virtual machine of TON behind two providers' APIs, journalled in var/market."""
        if self.chain != "ton-dev":
            return
        if not (DEVCHAIN / "node_modules/@ton/sandbox").exists():
            installed = subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=DEVCHAIN,
                                       text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            if installed.returncode != 0:
                raise Failure("npm ci failed in settlement/devchain:\n" + installed.stdout)
        (self.home / "market").mkdir(parents=True, exist_ok=True)
        step(f"a development chain of TON on {self.chain_urls[0]}")
        chain = self.ton_chain()
        chain.start()
        chain.wait_until("the development chain", lambda: Api(self.chain_urls[0]).up("/dev/status"))

    def wallet(self, name, *payment):
        """A person's own wallet on the development chain; `payment`: to, nanoTON, comment."""
        key = self.home / f"demo/{name}-wallet.key"
        key.parent.mkdir(parents=True, exist_ok=True)
        arguments = ["--api", self.chain_urls[0], "--key", str(key)]
        for option, value in zip(("--to", "--amount", "--comment"), payment):
            arguments += [option, str(value)]
        paid = subprocess.run(["node", DEVCHAIN / "pay.mjs", *arguments], text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
        if paid.returncode != 0:
            raise Failure(f"the wallet {name} could not pay:\n{paid.stderr}")
        return json.loads(paid.stdout)

    def deposit(self, developer):
        """Coins for the developer, on whichever chain there is."""
        if self.chain == "dev":
            Api(self.market_url).must("POST", "/v1/dev/faucet", {
                "memo": developer["deposit_memo"], "amount_nano": str(DEPOSIT_NANO)})
            return
        where = Api(self.market_url, developer["work_key"]).must("GET", "/v1/account/deposit")
        if not self.state.get("operator_funded"):
            step("the operator fills the market's wallet, the developer deposits by memo from an own wallet")
            Api(self.chain_urls[0]).must("POST", "/dev/faucet", {
                "address": where["address"], "amount": str(OPERATOR_NANO), "comment": "market-funds"})
            self.state["operator_funded"] = True
            self.save()
        wallet = self.wallet("developer", where["address"], DEPOSIT_NANO, where["memo"])
        done(f"from    {wallet['address']}")
        done(f"to      {where['address']} with memo {where['memo']}")
        done(f"link    {where['link']}")

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
        step(f"cocoon-demo-engine and {len(self.nodes)} nodes (simulated tier: no hardware is proven)")
        self.engine().start()
        self.engine().wait_until("the demo engine", lambda: Api(self.engine_url).up("/v1/models"))
        for name, node in self.nodes.items():
            self.write_node_config(name, node)
            program = self.node(name)
            if not program.pid() and not (self.home / "demo" / name / "state").exists():
                token = Api(self.market_url, provider["management_key"]).must("POST", "/v1/nodes/enrolments", {})
                self.enrol(name, token["token"])
            program.start()
        markets = Api(self.market_url)

        def all_offers():
            book = markets.get(f"/v1/markets/inference%3A{MODEL}/book")
            return book.status == 200 and sum(level["offers"] for level in book.json["offers"]) >= len(self.nodes)
        self.node("node-b").wait_until("all offers in the book", all_offers, 60)

    def write_node_config(self, name, node):
        path = self.node_config(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({
            "market": {"url": self.market_url},
            "name": name, "region": node["region"], "country": node["country"],
            "gpu": {"model": node.get("gpu", "H100"), "count": 1},
            "hardware": {"cpu": "demo", "vram_gib": 80, "ram_gib": 512, "disk_gib": 4000, "bandwidth_mbps": 10000},
            "state_directory": "state",
            "attestation": {"tier": "simulated", "platform_id": f"demo-{name}"},
            "engine": {"url": self.engine_url + "/v1"},
            "offers": [offer_of(model, node) for model in node.get("models", [MODEL])],
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
            self.deposit(developer)

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

    def first_payout(self):
        """What the provider earned, paid to an own wallet on the chain, once."""
        if self.chain != "ton-dev" or self.state.get("paid_out"):
            return
        step("the provider's payout: queue, batch, highload wallet, chain, books")
        provider = self.state["provider"]
        manager, wallet = Api(self.market_url, provider["management_key"]), self.wallet("provider")
        account = manager.must("GET", "/v1/account")
        manager.must("PATCH", "/v1/account", {"payout_address": wallet["address"]})
        earned = Api(self.market_url, provider["work_key"]).must("GET", "/v1/account/balance")["earned_nano"]
        payout = manager.must("POST", "/v1/payouts", {"amount_nano": earned, "source": "earned"})["id"]

        def paid():
            found = [item for item in manager.must("GET", "/v1/payouts")["items"] if item["id"] == payout]
            return found and found[0]["state"] == "paid" and found[0]
        reference = self.market().wait_until("the payout to be final", paid, 60)["reference"]
        balance = Api(self.chain_urls[0]).must("GET", f"/api/v2/getAddressBalance?address={wallet['address']}")
        done(f"to      {wallet['address']} ({account['name']})")
        done(f"there   {balance['result']} nanoTON; transaction {reference}")
        self.state["paid_out"] = True
        self.save()

    def print_next(self, receipt):
        client = "./build/release/bin/cocoon-client"
        print(f"""
\033[1mThe market is open.\033[0m
    pages           {self.market_url}/    sign in with a management key of state.json, or as the operator
                    with password and code: {self.home}/market/admin.login (its code_url is for an authenticator app)
    API             {self.market_url}/docs    {self.market_url}/v1/markets
    OpenAI base URL {self.client_url}/v1      (any API key: the sidecar holds the real one)
    keys            {self.state_file} (developer, provider), {self.home}/market/admin.token
    chain           {self.chain_urls[0] + '/api/v2 (TON, development)' if self.chain == 'ton-dev' else 'embedded'}
    logs            {self.run}/*.log

\033[1mTry\033[0m
    curl {self.client_url}/v1/chat/completions -H 'Content-Type: application/json' \\
        -d '{{"model":"{MODEL}","stream":true,"messages":[{{"role":"user","content":"Hello"}}]}}'
    {client} book inference:{MODEL} --config var/demo/client.json
    {client} verify {receipt} --config var/demo/client.json
    ./deploy/down
""")

    def up(self):
        self.start_chain()
        if self.state.get("chain") != self.chain:
            self.state["chain"] = self.chain
            self.save()
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


def demo(postgres, chain=None):
    url = postgres.url("cocoon") if postgres else os.environ["DATABASE_URL"]
    return Demo(VAR, Ports.of_up(), ROOT / "build/release/bin", url, chain=chain, nodes=SHOWN_NODES)


def up(chain):
    postgres = private_postgres()
    if postgres:
        step(f"PostgreSQL on 127.0.0.1:{DATABASE_PORT}")
        postgres.start()
        postgres.create("cocoon")
        done(f"data in {postgres.data}")
    market = demo(postgres, chain)
    market.up()
    receipt = market.first_job()
    market.first_payout()
    if market.traffic().start():
        done("demo traffic: jobs, waiting requests and changing prices; stop it with ./deploy/down")
    market.print_next(receipt)
    print(f"up: the market, {len(market.nodes)} nodes and the client are running")


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
        if command == ["up"] and options in ([], ["--chain", "dev"], ["--chain", "ton-dev"]):
            up(options[1] if options else None)
        elif command == ["down"] and options in ([], ["--erase"]):
            down(erase=bool(options))
        elif command == ["test-database"]:
            test_database()
        elif command == ["test-database-stop"]:
            test_database_stop()
        else:
            print("usage: demo.py up [--chain dev|ton-dev] | down [--erase] | test-database | test-database-stop",
                  file=sys.stderr)
            return 2
    except Failure as failure:
        print(f"\n\033[1;31m!!! {failure}\033[0m", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
