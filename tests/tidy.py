#!/usr/bin/env python3
"""The house rules that a compiler cannot check: floors, fences around heavy headers, lengths, words,
the spec against the routes, migrations without gaps. Prints each breach as file:line and a count."""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent

# What each folder may include from the house. An include only points down (docs/architecture.md).
FLOORS = {
    "core": {"core"},
    "matching": {"core", "matching"},
    "attestation": {"core", "attestation"},
    "sealing": {"core", "sealing"},
    "settlement": {"core", "settlement"},
    "net": {"core", "net"},
    "trust": {"core", "attestation", "sealing", "trust"},
    "db": {"core", "matching", "attestation", "settlement", "db", "migrations"},
    "api": {"core", "matching", "attestation", "sealing", "settlement", "db", "api"},
    "server": {"core", "matching", "attestation", "sealing", "settlement", "trust", "net", "db", "api", "server"},
    "node": {"core", "attestation", "sealing", "trust", "net", "node"},
    "client": {"core", "attestation", "sealing", "settlement", "trust", "net", "client"},
}

# A heavy or dangerous header, and the only files that may see it.
FENCES = [
    (re.compile(r"#include <boost/"), re.compile(r"^net/([^/]+\.cpp|stream\.hpp)$"), "Boost stays in net/*.cpp"),
    (re.compile(r"#include <pqxx|#include <libpq"), re.compile(r"^db/connection\.cpp$"),
     "libpqxx stays in db/connection.cpp"),
    (re.compile(r"#include <curl/"), re.compile(r"^net/[^/]+\.cpp$"), "curl stays in net/*.cpp"),
    (re.compile(r"#include <nlohmann/json\.hpp>"),
     re.compile(r"^(api|sealing|node|client|server|attestation)/([^/]+\.cpp|[^/]*json[^/]*\.hpp)$"),
     "nlohmann stays out of headers"),
    (re.compile(r"#include <(libxml|xmlsec)/"), re.compile(r"^attestation/signed_xml\.cpp$"),
     "libxml2 and libxmlsec1 stay in attestation/signed_xml.cpp"),
    (re.compile(r"\bco_await\b"), re.compile(r"^$"), "no coroutines: g++ 12 miscompiles their temporaries"),
    (re.compile(r"system_clock::now"), re.compile(r"^core/time\.cpp$"), "only SystemClock reads the clock"),
    (re.compile(r"\b(float|double)\b"),
     re.compile(r"^(net|node|client|bench|server)/|^sealing/canonical_json|^api/field_reader|^api/wire"),
     "no floating point near money"),
    (re.compile(r"\bstd::cout\b"), re.compile(r"/main[^/]*\.cpp$|^(node|client|server|bench)/"),
     "programs print, floors do not"),
]
WORDS = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|for now\b", re.IGNORECASE)
COLUMNS_MAX = 120
FUNCTION_LINES_MAX = 90

breaches = []


def breach(path, line, text):
    breaches.append(f"{path}:{line}: {text}")


def sources():
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"],
                            stdout=subprocess.PIPE, text=True, check=True).stdout.split("\n")
    return [name for name in listed if name and (ROOT / name).is_file()]


def check_includes(name, number, line):
    folder = name.split("/")[0]
    included = re.match(r'#include "([a-z]+)/', line)
    if folder in FLOORS and included and included.group(1) not in FLOORS[folder]:
        breach(name, number, f"{folder}/ may not see {included.group(1)}/")


def check_source(name):
    folder = name.split("/")[0]
    lines = (ROOT / name).read_text(errors="replace").splitlines()
    product = folder in FLOORS
    for number, line in enumerate(lines, 1):
        check_includes(name, number, line)
        if len(line) > COLUMNS_MAX and 'R"' not in line:  # a raw string is written as it travels
            breach(name, number, f"{len(line)} columns (at most {COLUMNS_MAX})")
        if WORDS.search(line) and not name.endswith("tidy.py"):
            breach(name, number, "unfinished work or a promise in a comment")
        code = line.split("//")[0]
        if product:
            for pattern, allowed, rule in FENCES:
                if pattern.search(code) and not allowed.search(name):
                    breach(name, number, rule)
    if product and name.endswith(".hpp") and not lines[0].startswith("//"):
        breach(name, 1, "a header opens with what it is, who calls it and what it must not know")
    if product and name.endswith((".cpp", ".hpp")):
        check_function_lengths(name, lines)


def check_function_lengths(name, lines):
    """A function is taken to run from a line at column 0 that ends in '{' to the next '}' at column 0."""
    start = None
    for number, line in enumerate(lines, 1):
        if re.match(r"^[A-Za-z_].*\)( const)?( noexcept)?( override)? \{$", line):
            start = number
        elif line == "}" and start:
            if number - start + 1 > FUNCTION_LINES_MAX:
                breach(name, start, f"a function of {number - start + 1} lines (at most {FUNCTION_LINES_MAX})")
            start = None


def check_migrations():
    names = sorted(path.name for path in (ROOT / "migrations").glob("*.sql"))
    for expected, found in enumerate(names, 1):
        if not re.match(rf"{expected:04d}_[a-z0-9_]+\.sql$", found):
            breach(f"migrations/{found}", 1, f"migrations are numbered without gaps; expected {expected:04d}_name.sql")


def check_spec_against_routes():
    spec, routes = ROOT / "api/openapi.yaml", ROOT / "api/routes.cpp"
    if not spec.exists() or not routes.exists():
        return
    in_spec, path = set(), None
    for line in spec.read_text().splitlines():
        if found := re.match(r"^  ['\"]?(/[^'\"]*?)['\"]?:\s*$", line):
            path = found.group(1)
        elif found := re.match(r"^    (get|post|put|patch|delete):", line):
            if path:
                in_spec.add((found.group(1), re.sub(r"\{[^}]*\}", "{}", path)))
        elif re.match(r"^[a-z]", line):
            path = None
    in_code = set()
    for found in re.finditer(r"Method::(get|post|put|patch|remove),\s*\"([^\"]+)\"", routes.read_text()):
        verb = {"remove": "delete"}.get(found.group(1), found.group(1))
        in_code.add((verb, re.sub(r"\{[^}]*\}", "{}", found.group(2))))
    for verb, where in sorted(in_spec - in_code):
        breach("api/openapi.yaml", 1, f"{verb} {where} is in the spec and not in routes.cpp")
    for verb, where in sorted(in_code - in_spec):
        breach("api/routes.cpp", 1, f"{verb} {where} is served and not in the spec")


def main():
    checked = 0
    for name in sources():
        if name.endswith((".cpp", ".hpp", ".inc", ".py", ".sh", ".mjs")) and "node_modules" not in name:
            check_source(name)
            checked += 1
    check_migrations()
    check_spec_against_routes()
    for line in breaches:
        print("FAILED", line)
    print(f"{checked} passed, {len(breaches)} failed")
    return 1 if breaches else 0


sys.exit(main())
