#!/usr/bin/env python3
"""Sign-in under attack, against the real server: what another site can make a browser send, sessions that are planted,
guessed, replayed or outlive their end, and what a stranger, a log or a table learns of a password."""

import base64
import hashlib
import hmac
import http.cookies
import sys
import time

from harness import World, expect, expect_equal, expect_refusal, run, wait_for

PASSWORD = "a long enough password"
EVIL = "https://evil.example"


class Authenticator:
    """RFC 6238 as an app on a phone has it. Each code is good once, so it gives each step once: the one before, this
    one, the next."""

    def __init__(self, secret):
        self.secret = base64.b32decode(secret + "=" * (-len(secret) % 8))
        self.last = 0

    def code(self):
        def free():
            now = int(time.time()) // 30
            step = max(self.last + 1, now - 1)
            return step if step <= now + 1 else None
        self.last = wait_for("an unused code", free, 40)
        return self.code_of(self.last)

    def code_of(self, step):
        digest = hmac.new(self.secret, step.to_bytes(8, "big"), hashlib.sha1).digest()
        at = digest[-1] & 15
        return f"{(int.from_bytes(digest[at:at + 4], 'big') & 0x7fffffff) % 1_000_000:06d}"


class Browser:
    """Keeps cookies and sends with each request what a browser does for a page of `origin`."""

    def __init__(self, market, origin=None, site="same-origin", mark="1"):
        self.market, self.cookie = market, None
        self.headers = {"Origin": origin or market.url, "Sec-Fetch-Site": site, "X-Session": mark}

    def call(self, method, path, body=None, **more):
        headers = {name: value for name, value in {**self.headers, **more}.items() if value is not None}
        if self.cookie:
            headers["Cookie"] = f"session={self.cookie}"
        answer = self.market.call(method, path, body, headers=headers)
        for line in answer.headers.get_all("Set-Cookie") or []:
            self.cookie = http.cookies.SimpleCookie(line)["session"].value or None
        return answer

    def sign_in(self, account, password=PASSWORD, code=None):
        body = {"account": account, "password": password, **({"code": code} if code else {})}
        return self.call("POST", "/v1/session", body)


def login_file(world):
    lines = (world.home / "market/admin.login").read_text().splitlines()
    return dict(line.split(" ", 1) for line in lines)


def tests(world):
    market = world.market
    admin = login_file(world)
    app = Authenticator(admin["code_secret"])
    market_name = "inference%3Ademo-model"

    def operator():
        browser = Browser(market)
        answer = browser.sign_in(admin["account"], admin["password"], app.code())
        expect_equal(answer.status, 201, f"the operator signs in: {answer!r}")
        return browser

    def developer(name, **more):
        """A fresh account that signs in by `name`."""
        made = market.must("POST", "/v1/accounts", {"kind": "developer", "name": name, "profile": {
            "models": ["m"], "daily_requests": 1, "input_tokens_average": 1, "output_tokens_average": 1}})
        key = made["management_key"]["secret"]
        answer = market.call("PUT", "/v1/account/login", {"name": name, "password": PASSWORD, "code": False, **more},
                             headers={"Authorization": f"Bearer {key}"})
        expect_equal(answer.status, 200, f"a password is set: {answer!r}")
        return made["account"]["id"], key, answer.json

    def cookie_flags():
        developer("flags")
        browser = Browser(market)
        answer = browser.sign_in("flags")
        lines = answer.headers.get_all("Set-Cookie")
        expect_equal(len(lines), 1, "one cookie")
        parts = [part.strip() for part in lines[0].split(";")]
        for wanted in ("HttpOnly", "SameSite=Strict", "Path=/"):
            expect(wanted in parts, f"{wanted}: {lines[0]!r}")
        expect(not any(part.startswith("Domain") for part in parts), "no Domain: the cookie is this host's")
        expect(browser.cookie.startswith("cs_") and browser.cookie not in answer.body.decode(),
               "the secret is in the cookie alone")
        expect_equal(browser.call("GET", "/v1/session").json["account"]["name"], "flags", "who is signed in")
        expect("no-store" in answer.headers["Cache-Control"], "nobody keeps the answer")

    def cross_site():
        """What a form, an image or a script of another site makes the victim's browser send, cookie included."""
        browser = operator()
        pause = f"/v1/admin/markets/{market_name}:pause"
        attacks = {
            "a form": {"Origin": EVIL, "Sec-Fetch-Site": "cross-site", "X-Session": None},
            "a form of an old browser": {"Origin": EVIL, "Sec-Fetch-Site": None, "X-Session": None},
            "a form without an origin": {"Origin": "null", "Sec-Fetch-Site": "cross-site", "X-Session": None},
            "a script": {"Origin": EVIL, "Sec-Fetch-Site": "cross-site"},
            "a sibling host": {"Origin": "http://other.localhost", "Sec-Fetch-Site": "same-site"},
            "another port": {"Origin": "http://127.0.0.1:1", "Sec-Fetch-Site": "same-site"},
            "a look-alike": {"Origin": market.url + ".evil.example", "Sec-Fetch-Site": None},
            "nothing that says where from": {"Origin": None, "Sec-Fetch-Site": None},
            "our own page without the mark": {"X-Session": None},
        }
        for what, headers in attacks.items():
            answer = browser.call("POST", pause, {"note": "attack"}, **headers)
            expect(answer.status in (401, 403), f"{what}: {answer!r}")
            expect(answer.json["code"] in ("cross_site_refused", "unauthenticated"), f"{what}: {answer!r}")
        answer = browser.call("POST", pause, "note=attack", **{"Content-Type": "text/plain", "X-Session": None})
        expect_refusal(answer, 403, "cross_site_refused")
        expect(not market.must("GET", f"/v1/markets/{market_name}")["paused"], "nothing was done")
        expect_equal(browser.call("POST", pause, {"note": "ours"}).status, 204, "our own page may")
        resume = pause.replace(":pause", ":resume")
        expect_equal(browser.call("POST", resume, {"note": "ours"}).status, 204, "and again")

        asked = market.call("OPTIONS", pause, headers={
            "Origin": EVIL, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-session"})
        allowed = (asked.headers["Access-Control-Allow-Headers"] or "").lower()
        expect("x-session" not in allowed, f"no other origin may send the mark: {allowed}")
        for answer in (asked, browser.call("GET", "/v1/session")):
            expect(answer.headers["Access-Control-Allow-Credentials"] is None, "no other origin reads with our cookie")
        expect_refusal(browser.call("GET", "/v1/session", **{"Origin": EVIL, "Sec-Fetch-Site": "cross-site"}), 401,
                       "unauthenticated")

    def signed_in_as_another():
        """Another site signs the victim's browser in as the attacker."""
        developer("attacker")
        victim = Browser(market, EVIL, "cross-site")
        for headers in ({}, {"X-Session": None}, {"Sec-Fetch-Site": None}):
            answer = victim.call("POST", "/v1/session", {"account": "attacker", "password": PASSWORD}, **headers)
            expect_refusal(answer, 403, "cross_site_refused")
            expect(victim.cookie is None, "no cookie is set")

    def fixation():
        developer("fixed")
        browser = Browser(market)
        browser.cookie = planted = "cs_" + "A" * 43
        expect_equal(browser.sign_in("fixed").status, 201, "a planted cookie is in nobody's way")
        expect(browser.cookie != planted, "and is not taken over")
        first = browser.cookie
        expect_equal(browser.sign_in("fixed").status, 201, "signed in again")
        expect(browser.cookie != first, "each sign-in has a secret of its own")
        stale, now = Browser(market), browser.cookie
        stale.cookie = first
        expect_refusal(stale.call("GET", "/v1/session"), 401, "unauthenticated")
        # A second cookie of the name, planted by another port of this host: neither counts.
        answer = market.get("/v1/session", headers={"Cookie": f"session={planted}; session={now}"})
        expect_refusal(answer, 401, "unauthenticated")
        expect_equal(browser.call("DELETE", "/v1/session").status, 204, "signed out")
        expect(browser.cookie is None, "the cookie is taken away")
        stale.cookie = now
        expect_refusal(stale.call("GET", "/v1/account"), 401, "unauthenticated")

    def in_no_other_place():
        """A session's secret is no key, a key is no session, and a session is nothing to programs."""
        account, key, _ = developer("places")
        browser = Browser(market)
        browser.sign_in("places")
        bearer = market.get("/v1/account", headers={"Authorization": f"Bearer {browser.cookie}"})
        expect_refusal(bearer, 401, "unauthenticated")
        expect_refusal(market.get("/v1/account", headers={"Cookie": f"session={key}"}), 401, "unauthenticated")
        for method, path in (("GET", "/v1/relay"), ("POST", "/v1/jobs/job_1/exchange")):
            expect_refusal(browser.call(method, path, b"x" if method == "POST" else None), 401, "unauthenticated")
        expect_refusal(browser.call("POST", "/v1/requests", {}), 403, "forbidden")
        mine = {"name": "mine", "password": PASSWORD}
        expect_refusal(browser.call("PUT", "/v1/account/login", mine), 403, "forbidden")
        expect_equal(browser.call("GET", "/v1/markets").status, 200, "public pages do not mind a cookie")
        browser.cookie = "cs_" + "B" * 43
        expect_equal(browser.call("GET", "/v1/markets").status, 200, "nor a wrong one")
        expect_refusal(Browser(market).call("POST", "/v1/session", {}, Authorization=f"Bearer {world.admin.key}"),
                       403, "forbidden")
        by_key = Browser(market)
        expect_equal(by_key.call("POST", "/v1/session", {}, Authorization=f"Bearer {key}").status, 201,
                     "a key is exchanged for a session")
        expect_equal(by_key.call("GET", "/v1/session").json["account"]["id"], account, "of its account")

    def guessing():
        developer("guessed")
        browser = Browser(market)
        for name in ("guessed", "nobody-has-this-name"):
            answers = [browser.sign_in(name, f"guess number {n}") for n in range(12)]
            codes = [answer.json["code"] for answer in answers]
            expect(codes[:5] == ["login_refused"] * 5, f"five attempts are free: {codes}")
            expect(codes[-1] == "login_locked", f"then they wait: {codes}")
            locked = browser.sign_in(name)
            expect_refusal(locked, 429, "login_locked")
            expect(1 <= int(locked.headers["Retry-After"]) <= 30, f"and are told how long: {locked!r}")
        wait_for("the lock to open by itself", lambda: browser.sign_in("guessed").status == 201, 60)

    def codes():
        _, key, made = developer("coded", code=True)
        mine = Authenticator(made["code_secret"])
        browser = Browser(market)
        expect_refusal(browser.sign_in("coded"), 401, "login_refused")
        code = mine.code()
        expect_refusal(browser.sign_in("coded", "a wrong password", code), 401, "login_refused")
        expect_equal(browser.sign_in("coded", PASSWORD, code).status, 201, "a wrong password used no code up")
        expect_refusal(browser.sign_in("coded", PASSWORD, code), 401, "login_refused")
        expect_equal(browser.sign_in("coded", PASSWORD, mine.code()).status, 201, "the next one is good")
        expect_refusal(browser.sign_in("coded", PASSWORD, code), 401, "login_refused")  # older than the newest used
        # A new password: every session of the old one is over.
        again = market.call("PUT", "/v1/account/login", {"name": "coded", "password": PASSWORD + "!"},
                            headers={"Authorization": f"Bearer {key}"})
        expect_equal(again.status, 200, "a new password")
        expect_refusal(browser.call("GET", "/v1/account"), 401, "unauthenticated")

    def answers_alike():
        """Nothing about an answer tells whether there is such an account; its time neither."""
        developer("timed", code=True)
        times, bodies = {"timed": [], "absent-name": []}, set()
        for turn in range(4):
            for name in times:
                begin = time.monotonic()
                answer = Browser(market).sign_in(name, "not the password", "000000")
                times[name].append(time.monotonic() - begin)
                expect_equal(answer.status, 401, f"{answer!r}")
                problem = answer.json
                bodies.add((problem["code"], problem.get("detail"), problem["title"]))
        expect_equal(len(bodies), 1, "one answer for all")
        known, unknown = (min(each) for each in times.values())
        expect(known > 0.02 and unknown > 0.02, f"a hash is made either way: {known:.3f} and {unknown:.3f} s")

    def frozen():
        account, _, _ = developer("frozen-one")
        browser, boss = Browser(market), operator()
        browser.sign_in("frozen-one")
        expect_equal(boss.call("POST", f"/v1/admin/accounts/{account}:freeze", {"note": "test"}).status, 204, "frozen")
        expect_refusal(browser.call("PATCH", "/v1/account", {"name": "x"}), 403, "account_frozen")
        expect_equal(browser.call("DELETE", "/v1/session").status, 204, "who is frozen may still leave")

    def restart():
        browser = operator()
        expect_equal(browser.call("GET", "/v1/admin/overview").status, 200, "before")
        program = world.demo.market()
        program.kill()
        program.start()
        program.wait_until("the market to be ready", market.up)
        expect_equal(browser.call("GET", "/v1/admin/overview").status, 200, "a session outlives a crash")
        used = app.code_of(app.last)
        expect_refusal(Browser(market).sign_in(admin["account"], admin["password"], used), 401, "login_refused")

    def audited():
        Browser(market).sign_in(admin["account"], "not the operator's password", "000000")
        boss = operator()

        def lines():
            items = boss.call("GET", "/v1/admin/audit?limit=100").json["items"]
            actions = [item["action"] for item in items]
            return "sign_in" in actions and "sign_in_refused" in actions
        wait_for("the audit log to know", lines, 20)

    def nothing_leaks():
        """Passwords, codes' secrets and cookies are in no log and no row."""
        browser = operator()
        secrets = [PASSWORD, admin["password"], admin["code_secret"], browser.cookie]
        for log in world.demo.run.glob("*.log"):
            text = log.read_text(errors="replace")
            for secret in secrets:
                expect(secret not in text, f"{log.name} holds a secret")
        tables = [row[0] for row in world.database.psql(
            "select quote_ident(table_name) from information_schema.tables where table_schema = 'public' "
            "and table_type = 'BASE TABLE'")]
        expect("logins" in tables and "journal" in tables, f"the tables: {tables}")
        spelled = [*secrets, *(secret.encode().hex() for secret in secrets), app.secret.hex()]
        patterns = ", ".join(f"'%{text}%'" for text in spelled)
        found = world.database.psql(" union all ".join(
            f"select '{table}' from {table} t where t::text like any (array[{patterns}])" for table in tables))
        expect_equal(found, [], "tables with a secret in a row")

    return [("the cookie's flags", cookie_flags), ("requests of other sites", cross_site),
            ("signed in as another", signed_in_as_another), ("fixation", fixation),
            ("sessions and keys, each in its place", in_no_other_place), ("guessing", guessing),
            ("codes, once each", codes), ("all answers alike", answers_alike), ("a frozen account", frozen),
            ("a restart", restart), ("the audit log", audited), ("nothing leaks", nothing_leaks)]


def main():
    with World("sign-in", settings={"MARKET_LOGIN_ATTEMPTS_PER_ADDRESS": "1000"}) as world:
        return run(tests(world))


if __name__ == "__main__":
    sys.exit(main())
