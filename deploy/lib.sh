# Shared by up, down, test and bench: packages, builds, one way to talk to the person watching.
# Sourced, never run. Everything the project needs is installed from here; nothing else is assumed.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"

say() { printf '\n\033[1m==> %s\033[0m\n' "$*"; }
fail() { printf '\n\033[1;31m!!! %s\033[0m\n' "$*" >&2; exit 1; }

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"
    elif command -v sudo >/dev/null; then sudo "$@"
    else fail "packages are missing and this is neither root nor a user with sudo: $*"
    fi
}

# packages NAME...: installs those that are missing. "a|b" takes the first that the distribution has.
packages() {
    local wanted missing=() choice alternative updated=
    for wanted in "$@"; do
        choice=
        for alternative in ${wanted//|/ }; do
            if dpkg-query -W -f '${Status}' "$alternative" 2>/dev/null | grep -q 'install ok installed'; then
                choice=installed; break
            fi
        done
        [ "$choice" = installed ] && continue
        missing+=("$wanted")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    say "installing packages: ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    as_root apt-get update -qq && updated=1
    local names=()
    for wanted in "${missing[@]}"; do
        for alternative in ${wanted//|/ }; do
            if apt-cache show "$alternative" >/dev/null 2>&1; then names+=("$alternative"); continue 2; fi
        done
        fail "no package of '$wanted' is available here${updated:+ (package lists are fresh)}"
    done
    # A cluster of the distribution's own would take memory and port 5432; ours lives under var/.
    if [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        as_root mkdir -p /etc/postgresql-common
        echo 'create_main_cluster = false' | as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
    fi
    as_root apt-get install -y -qq --no-install-recommends "${names[@]}" >/dev/null
}

packages_to_build() {
    packages build-essential 'cmake' ninja-build ccache mold pkg-config ca-certificates curl jq python3 \
        'libboost1.81-dev|libboost-dev' libpqxx-dev nlohmann-json3-dev libssl-dev \
        libxml2-dev libxmlsec1-dev \
        'libcurl4-openssl-dev|libcurl-dev' 'postgresql-15|postgresql' "$@"
}

# packages_for_web: node and npm, whoever brought them.
packages_for_web() {
    local missing=()
    command -v node >/dev/null || missing+=(nodejs)
    command -v npm >/dev/null || missing+=(npm)
    packages "${missing[@]}"
}

# npm_packages FOLDER: what its lock file names; nothing to do when they are there already.
npm_packages() {
    local folder=$1 stamp="$1/node_modules/.cocoon-lock" log="$root/build/npm.log"
    cmp -s "$folder/package-lock.json" "$stamp" && return 0
    mkdir -p "$root/build"
    (cd "$folder" && npm ci --no-audit --no-fund --loglevel=error >"$log" 2>&1) ||
        { cat "$log"; fail "npm ci failed in $folder"; }
    cp "$folder/package-lock.json" "$stamp"
}

# build_web: the pages into web/dist, which the market serves; skipped when nothing they are made of has changed.
build_web() {
    local inputs stamp="$root/build/web.stamp"
    mkdir -p "$root/build"
    inputs=$(find web api/openapi.yaml \( -name node_modules -o -name dist \) -prune -o -type f -print0 |
        sort -z | xargs -0 sha256sum | sha256sum)
    [ -f web/dist/index.html ] && [ "$(cat "$stamp" 2>/dev/null)" = "$inputs" ] && return 0
    say "building the pages (web/)"
    npm_packages web
    npm --prefix web run -s build >"$root/build/web.log" 2>&1 ||
        { tail -n 60 "$root/build/web.log"; fail "the pages could not be built"; }
    echo "$inputs" >"$stamp"
}

# Build folders of one checkout share compiled objects; the debug information then names the first of them.
export CCACHE_NOHASHDIR=1

# build PRESET [TARGET...]: configure and compile, with a line of progress and the reason it may take long.
build() {
    local preset=$1; shift
    say "building ($preset); a cold build compiles everything and takes some minutes"
    local log="$root/build/$preset.log"
    mkdir -p "$root/build"
    cmake --preset "$preset" >"$log" 2>&1 || { cat "$log"; fail "cmake could not configure ($log)"; }
    local started=$SECONDS targets=()
    for target in "$@"; do targets+=(--target "$target"); done
    if [ -t 1 ]; then
        NINJA_STATUS='    [%f/%t] ' cmake --build --preset "$preset" "${targets[@]}" || fail "the build failed"
    else
        cmake --build --preset "$preset" "${targets[@]}" >>"$log" 2>&1 ||
            { tail -n 60 "$log"; fail "the build failed (all of it in $log)"; }
    fi
    echo "    built in $((SECONDS - started)) s"
}
