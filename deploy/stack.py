"""The parts of a running market, for `up`, `down` and the end-to-end tests: a private PostgreSQL,
programs with pid files and logs, a small HTTP caller. Standard library only."""

import contextlib
import glob
import hashlib
import http.client
import json
import os
import pathlib
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
import urllib.parse
import uuid

ROOT = pathlib.Path(__file__).resolve().parent.parent


class Failure(Exception):
    """Something that the person at the terminal has to read."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what, check, seconds=30, every=0.05):
    """Polls `check` until it answers something true; the answer, or Failure after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        answer = check()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise Failure(f"timed out after {seconds} s waiting for {what}")
        time.sleep(every)


def write_secret(path, text):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


class PrivatePostgres:
    """A cluster of our own: own directory, own port, own user, a password in a 0600 file.

    PostgreSQL refuses to run as root, so root hands the cluster to a system user. When that user
    cannot reach the checkout (a clone below /root), the data lives in /var/lib instead.
    """

    USER = "cocoon-postgres"

    def __init__(self, directory, port):
        self.home = pathlib.Path(directory).resolve()
        self.port = port
        self.password_file = self.home / "password"
        self.binaries = self._find_binaries()
        self.home.mkdir(parents=True, exist_ok=True)
        if os.geteuid() == 0:
            self._ensure_user()
        self.data = self._choose_data_directory()

    @staticmethod
    def _find_binaries():
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"),
                       key=lambda path: float(path.split("/")[4]))
        if not found:
            raise Failure("PostgreSQL's initdb is not installed (package postgresql)")
        return pathlib.Path(found[-1]).parent

    def _ensure_user(self):
        try:
            pwd.getpwnam(self.USER)
        except KeyError:
            subprocess.run(["useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent",
                            "--shell", "/usr/sbin/nologin", self.USER], check=True)

    def _run(self, *command, **options):
        prefix = ["runuser", "-u", self.USER, "--"] if os.geteuid() == 0 else []
        return subprocess.run([*prefix, *map(str, command)], cwd="/", **options)

    def _choose_data_directory(self):
        if os.geteuid() != 0:
            return self.home / "data"
        reachable = self._run("test", "-x", self.home).returncode == 0
        base = self.home
        if not reachable:
            name = hashlib.sha256(str(self.home).encode()).hexdigest()[:12]
            base = pathlib.Path("/var/lib/cocoon-postgres") / name
            base.mkdir(parents=True, exist_ok=True)
        data = base / "data"
        if not data.exists():
            data.mkdir(mode=0o700)
            shutil.chown(data, self.USER, self.USER)
        return data

    def url(self, database):
        password = self.password_file.read_text().strip()
        return f"postgresql://cocoon:{password}@127.0.0.1:{self.port}/{database}"

    def running(self):
        return self._run(self.binaries / "pg_ctl", "-D", self.data, "status",
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0

    def start(self, settings=()):
        if not (self.data / "PG_VERSION").exists():
            write_secret(self.password_file, secrets.token_hex(24))
            handed = self.data.parent / f".password-{os.getpid()}"
            write_secret(handed, self.password_file.read_text())
            if os.geteuid() == 0:
                shutil.chown(handed, self.USER, self.USER)
            done = self._run(self.binaries / "initdb", "-D", self.data, "-U", "cocoon", "-E", "UTF8",
                             "--no-locale", "--auth=scram-sha-256", f"--pwfile={handed}",
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            handed.unlink()
            if done.returncode != 0:
                raise Failure("initdb failed:\n" + done.stdout)
        if not self.running():
            options = [f"-p {self.port}", "-c listen_addresses=127.0.0.1", "-c unix_socket_directories=",
                       "-c shared_buffers=256MB", "-c max_wal_size=4GB", "-c checkpoint_timeout=15min",
                       *(f"-c {setting}" for setting in settings)]
            log = self.data / "server.log"
            done = self._run(self.binaries / "pg_ctl", "-D", self.data, "-w", "-t", "60", "-l", log,
                             "-o", " ".join(options), "start", stdin=subprocess.DEVNULL,
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            if done.returncode != 0:
                raise Failure(f"PostgreSQL did not start on port {self.port}; its log is {log}")

    def stop(self):
        if (self.data / "PG_VERSION").exists() and self.running():
            self._run(self.binaries / "pg_ctl", "-D", self.data, "-m", "fast", "-w", "stop",
                      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def erase(self):
        self.stop()
        shutil.rmtree(self.data, ignore_errors=True)
        self.password_file.unlink(missing_ok=True)

    def sql(self, statement, database="postgres", check=True):
        """Rows as a list of lists of text."""
        environment = dict(os.environ, PGPASSWORD=self.password_file.read_text().strip())
        done = subprocess.run([self.binaries / "psql", "-X", "-q", "-A", "-t", "-F", "\x1f", "-v",
                               "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", str(self.port), "-U", "cocoon",
                               "-d", database, "-c", statement], env=environment, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if check and done.returncode != 0:
            raise Failure(f"{statement}: {done.stderr.strip()}")
        return [line.split("\x1f") for line in done.stdout.splitlines() if line]

    def create(self, database):
        if not self.sql(f"select 1 from pg_database where datname = '{database}'"):
            self.sql(f'create database "{database}"')
        return self.url(database)


class Program:
    """A program of ours in the background: a pid file, a log file, stopped by SIGTERM, killed by -9."""

    def __init__(self, name, command, directory, environment=None):
        self.name = name
        self.command = [str(part) for part in command]
        self.directory = pathlib.Path(directory)
        self.environment = environment or {}
        self.pid_file = self.directory / f"{name}.pid"
        self.log_file = self.directory / f"{name}.log"
        self.process = None

    def pid(self):
        """The pid of the running program, or None; a recycled pid of another program is not ours."""
        try:
            pid = int(self.pid_file.read_text())
            line = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            state = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (OSError, ValueError, IndexError):
            return None
        same = os.path.basename(line[0].decode(errors="replace")) == os.path.basename(self.command[0])
        return pid if same and state != "Z" else None

    def start(self):
        if self.pid():
            return False
        self.directory.mkdir(parents=True, exist_ok=True)
        with open(self.log_file, "ab") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            env={**os.environ, **self.environment}, start_new_session=True)
        self.pid_file.write_text(str(self.process.pid))
        return True

    def tail(self, lines=15):
        with contextlib.suppress(OSError):
            return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-lines:])
        return ""

    def wait_until(self, what, check, seconds=30):
        def alive_and_checked():
            if self.process and self.process.poll() is not None:
                raise Failure(f"{self.name} ended with status {self.process.returncode}:\n{self.tail()}")
            return check()
        try:
            return wait_for(what, alive_and_checked, seconds)
        except Failure as failure:
            raise Failure(f"{failure}\nlast lines of {self.log_file}:\n{self.tail()}") from None

    def signal(self, number):
        pid = self.pid()
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def gone(self):
        if self.process and self.process.poll() is not None:
            return True
        return self.pid() is None

    def stop(self, seconds=30):
        self.signal(signal.SIGTERM)
        try:
            wait_for(f"{self.name} to stop", self.gone, seconds)
        except Failure:
            self.kill()
            raise Failure(f"{self.name} ignored SIGTERM for {seconds} s and was killed") from None
        self.pid_file.unlink(missing_ok=True)

    def kill(self):
        self.signal(signal.SIGKILL)
        wait_for(f"{self.name} to die", self.gone, 10)
        self.pid_file.unlink(missing_ok=True)


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:400]!r}"


class Api:
    """Calls one server. `key` is a bearer key; POSTs carry a fresh Idempotency-Key unless one is given."""

    def __init__(self, url, key=None):
        self.url, self.key = url.rstrip("/"), key

    def call(self, method, path, body=None, headers=None, idempotency_key=None, timeout=30):
        parts = urllib.parse.urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)
        sent = {"Accept": "application/json"}
        if self.key:
            sent["Authorization"] = f"Bearer {self.key}"
        if method == "POST":
            sent["Idempotency-Key"] = idempotency_key or str(uuid.uuid4())
        data = None
        if body is not None:
            data = body if isinstance(body, (bytes, str)) else json.dumps(body)
            data = data.encode() if isinstance(data, str) else data
            sent["Content-Type"] = "application/json"
        sent.update(headers or {})
        try:
            connection.request(method, parts.path + path, data, sent)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        finally:
            connection.close()

    def get(self, path, **options):
        return self.call("GET", path, **options)

    def post(self, path, body=None, **options):
        return self.call("POST", path, body, **options)

    def must(self, method, path, body=None, **options):
        """The JSON of a successful answer; anything else is a Failure that shows the refusal."""
        answer = self.call(method, path, body, **options)
        if answer.status >= 300:
            raise Failure(f"{method} {path} was refused: {answer!r}")
        return answer.json if answer.body else None

    def up(self, path="/readyz"):
        try:
            return self.get(path, timeout=5).status == 200
        except OSError:
            return False
