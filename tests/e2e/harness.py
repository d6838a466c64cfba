"""What every end-to-end test starts from: a whole market of its own (database, ports, directory) made of the
real programs, and a runner that closes with "N passed, N failed". Standard library only."""

import os
import pathlib
import secrets
import shutil
import sys
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "deploy"))
import stack  # noqa: E402
from demo import Demo, Ports  # noqa: E402
from stack import Api, Failure, wait_for  # noqa: E402,F401

BINARIES = ROOT / os.environ.get("COCOON_BUILD", "build/dev") / "bin"


class Check(Exception):
    """A test's own finding."""


def expect(condition, what):
    if not condition:
        raise Check(what)


def expect_equal(found, wanted, what):
    if found != wanted:
        raise Check(f"{what}: found {found!r}, wanted {wanted!r}")


def expect_refusal(answer, status, code):
    """A problem+json with exactly this status and code, naming the request."""
    expect_equal(answer.status, status, f"status of {answer!r}")
    expect(answer.headers["Content-Type"].startswith("application/problem+json"), f"problem+json: {answer!r}")
    expect_equal(answer.json["code"], code, f"code of {answer!r}")
    expect(answer.json.get("request_id"), "a problem names its request")


class Database:
    """A database of one test, dropped afterwards, on the cluster that COCOON_TEST_DATABASE_URL names."""

    def __init__(self, name):
        admin = os.environ.get("COCOON_TEST_DATABASE_URL")
        if not admin:
            sys.exit("COCOON_TEST_DATABASE_URL is not set; run the tests with ./deploy/test")
        self.admin = admin
        self.name = f"e2e_{name}_{secrets.token_hex(4)}"
        self.psql(f'create database "{self.name}"', admin)
        self.url = admin.rsplit("/", 1)[0] + "/" + self.name

    def psql(self, statement, url=None):
        import subprocess
        done = subprocess.run(["psql", "-X", "-q", "-A", "-t", "-F", "\x1f", "-v", "ON_ERROR_STOP=1",
                               url or self.url, "-c", statement], text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
        if done.returncode != 0:
            raise Failure(f"{statement}: {done.stderr.strip()}")
        return [line.split("\x1f") for line in done.stdout.splitlines() if line]

    def drop(self):
        self.psql(f'drop database if exists "{self.name}" with (force)', self.admin)


class World:
    """`with World("name") as world:` — a market with two nodes and a client that has money."""

    def __init__(self, name, token_delay_ms=2, settings=None, chain=None):
        self.home = ROOT / "var/test/e2e" / name
        shutil.rmtree(self.home, ignore_errors=True)
        self.database = Database(name)
        ports = Ports(stack.free_port(), stack.free_port(), stack.free_port(),
                      (stack.free_port(), stack.free_port()))
        self.demo = Demo(self.home, ports, BINARIES, self.database.url, token_delay_ms, settings, chain)
        self.market = Api(self.demo.market_url)

    def __enter__(self):
        try:
            self.demo.up()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        self.admin = Api(self.demo.market_url, (self.home / "market/admin.token").read_text().strip())
        self.developer = Api(self.demo.market_url, self.demo.state["developer"]["work_key"])
        self.developer_manager = Api(self.demo.market_url, self.demo.state["developer"]["management_key"])
        self.provider = Api(self.demo.market_url, self.demo.state["provider"]["work_key"])
        self.provider_manager = Api(self.demo.market_url, self.demo.state["provider"]["management_key"])
        self.client = Api(self.demo.client_url)
        return self

    def __exit__(self, *_):
        for program in self.demo.programs():
            if program.pid():
                program.kill()
        self.database.drop()

    def command(self, *arguments):
        """Runs a sub-command of cocoon-market against this world's database; (status, output)."""
        import subprocess
        done = subprocess.run([BINARIES / "cocoon-market", *arguments], text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT,
                              env={**os.environ, **self.demo.market().environment})
        return done.returncode, done.stdout


def run(tests):
    """Runs (name, function) pairs in order; each is one test of the closing line."""
    failed = 0
    for name, test in tests:
        begin = time.monotonic()
        try:
            test()
            print(f"ok      {name} ({time.monotonic() - begin:.1f} s)", flush=True)
        except (Check, Failure) as finding:
            failed += 1
            print(f"FAILED  {name}: {finding}", flush=True)
        except Exception:
            failed += 1
            print(f"FAILED  {name}", flush=True)
            traceback.print_exc(file=sys.stdout)
    print(f"{len(tests) - failed} passed, {failed} failed", flush=True)
    return 1 if failed else 0
