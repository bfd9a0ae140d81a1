# shellcheck shell=bash
# Shared by the scripts beside it. Sourced, never run: finds the repository, installs what is
# missing, and starts the throw-away servers that demo and tests need.

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
target="${CARGO_TARGET_DIR:-$root/target}"

# A tool is missing: at the desk, the step is passed over (see script/test).
# shellcheck disable=SC2034 # used by those that source this
readonly SKIPPED=77

# Backtraces still have lines, and the build needs a fraction of the disk and the time.
export CARGO_PROFILE_DEV_DEBUG="${CARGO_PROFILE_DEV_DEBUG:-line-tables-only}"

# Everything here talks to this machine alone; a proxy would only be in the way.
export NO_PROXY="127.0.0.1,localhost${NO_PROXY:+,$NO_PROXY}" no_proxy="127.0.0.1,localhost${no_proxy:+,$no_proxy}"

say() { printf '%s\n' "$*" >&2; }

# One line that says what is missing and how to get it; the caller decides whether that is fatal.
missing() {
    say "missing: $*"
    return 1
}

die() {
    say "error: $*"
    exit 3
}

have() { command -v "$1" >/dev/null 2>&1; }

# --- What a fresh machine lacks --------------------------------------------------------------

# Installs Debian packages, if that is possible here without a question.
apt_install() {
    have apt-get || return 1
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        have sudo && sudo -n true 2>/dev/null || return 1
        as_root=(sudo -n)
    fi
    say "installing $* (apt-get)"
    # Pages of progress hide what matters; they are of interest only if it fails.
    local log
    log="$(mktemp)"
    if {
        "${as_root[@]}" apt-get update -qq &&
            "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
                apt-get install -y -qq --no-install-recommends "$@"
    } >"$log" 2>&1 </dev/null; then
        rm -f "$log"
    else
        tail -n 20 "$log" >&2
        rm -f "$log"
        return 1
    fi
}

need_curl() {
    have curl || apt_install curl ca-certificates || missing "curl: apt-get install curl"
}

need_compiler() {
    # For aws-lc and SQLite, which are built from their C sources.
    have cc || apt_install build-essential || missing "a C compiler: apt-get install build-essential"
}

# The oldest Rust that builds this, as Cargo.toml says.
rust_version() { sed -n 's/^rust-version = "\(.*\)"$/\1/p' "$root/Cargo.toml"; }

# Is the first version at least the second?
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

need_rust() {
    local wanted
    wanted="$(rust_version)"
    # A shell that was open before rustup came does not have it on its path.
    if ! have cargo && [ -x "${CARGO_HOME:-$HOME/.cargo}/bin/cargo" ]; then
        PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
    fi
    if ! have cargo; then
        need_curl || return 1
        say "installing Rust (rustup)"
        if ! curl --proto '=https' --tlsv1.2 -fsS https://sh.rustup.rs |
            sh -s -- -y --quiet --profile minimal --component rustfmt,clippy >&2; then
            missing "Rust $wanted or later: install rustup, see https://rustup.rs"
            return 1
        fi
        PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
    fi
    local found
    found="$(cd "$root" && rustc --version | cut -d ' ' -f 2)"
    at_least "$found" "$wanted" || missing "Rust $wanted or later (found $found): rustup update"
}

need_python() {
    { have python3 && python3 -c 'import ensurepip, venv' 2>/dev/null; } ||
        apt_install python3 python3-venv ||
        missing "Python 3 with venv: apt-get install python3 python3-venv"
}

need_node() {
    { have node && have npm; } || apt_install nodejs npm ||
        { missing "Node.js 18 or later with npm: apt-get install nodejs npm"; return 1; }
    at_least "$(node --version | tr -d v)" 18 ||
        missing "Node.js 18 or later (found $(node --version))"
}

need_wrk() {
    have wrk || apt_install wrk || missing "wrk: apt-get install wrk"
}

# wrk's companion: evenly paced requests, and HTTP/2.
need_h2load() {
    have h2load || apt_install nghttp2-client || missing "h2load: apt-get install nghttp2-client"
}

need_nginx() {
    # Debian keeps it off the path of ordinary users.
    if ! have nginx && [ -x /usr/sbin/nginx ]; then
        PATH="$PATH:/usr/sbin"
    fi
    have nginx || apt_install nginx-light || missing "nginx: apt-get install nginx-light"
}

need_openssl() {
    have openssl || apt_install openssl || missing "openssl: apt-get install openssl"
}

# The CA that Let's Encrypt tests clients with, and a DNS server for it.
need_pebble() {
    { have pebble && have pebble-challtestsrv; } || apt_install pebble ||
        missing "pebble, a CA for tests: apt-get install pebble"
}

# Prints the folder that holds initdb and pg_ctl; Debian keeps them off the path.
postgres_bin() {
    local found
    found="$(printf '%s\n' /usr/lib/postgresql/*/bin/initdb | sort -V | tail -n 1)"
    if [ -x "$found" ]; then
        dirname "$found"
    elif have initdb && have pg_ctl; then
        dirname "$(command -v initdb)"
    else
        return 1
    fi
}

need_postgres() {
    postgres_bin >/dev/null || apt_install postgresql ||
        missing "PostgreSQL's server: apt-get install postgresql"
}

# The Python environment of the clients' tests; its PyJWT verifies what runmint signs. Sets `venv_bin`.
clients_venv() { venv clients -r "$root/tests/clients/python/requirements.txt"; }

# A private Python environment: `venv NAME ARGUMENT…`, the arguments being pip's. Made again when
# they, or the requirements file among them, change. Sets `venv_bin`.
venv() {
    local folder="$target/$1/venv"
    shift
    need_python || return 1
    local stamp argument
    stamp="$(
        python3 --version
        for argument; do
            printf '%s\n' "$argument"
            [ ! -f "$argument" ] || cat "$argument"
        done
    )"
    venv_bin="$folder/bin"
    if [ "$(cat "$folder/stamp" 2>/dev/null)" != "$stamp" ]; then
        rm -rf "$folder"
        mkdir -p "$(dirname "$folder")"
        python3 -m venv "$folder" >&2 || return 1
        "$venv_bin/pip" install --quiet --disable-pip-version-check "$@" >&2 || return 1
        printf '%s\n' "$stamp" >"$folder/stamp"
    fi
}

# --- Throw-away servers ------------------------------------------------------------------------

# What to undo at the end, last first. One trap, so that no two parts overwrite each other's.
cleanups=()
cleanup() {
    local status=$? index
    trap - EXIT
    for ((index = ${#cleanups[@]} - 1; index >= 0; index--)); do
        eval "${cleanups[index]}" || true
    done
    exit "$status"
}
at_exit() {
    [ "${#cleanups[@]}" -gt 0 ] || trap cleanup EXIT
    cleanups+=("$1")
}

# Prints as many free ports of 127.0.0.1 as asked for, all different.
free_ports() {
    python3 - "$1" <<'PYTHON'
import socket, sys

sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
print(*(s.getsockname()[1] for s in sockets))
PYTHON
}

# The field of a JSON object on standard input.
json_field() {
    python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"
}

# What somebody has set in this shell for another runmint is nothing for a throw-away one; what
# they have set for the tests (RUNMINT_TEST_…) is.
forget_settings() {
    local name
    unset WORKLOAD_IDENTITY_AUTO_ROTATE_PERIOD
    for name in "${!RUNMINT_@}"; do
        [[ "$name" = RUNMINT_TEST_* ]] || unset "$name"
    done
}

# Builds runmint; sets `runmint` to the program.
build_runmint() {
    need_compiler && need_rust && need_curl && need_python || exit 3
    # The first build takes minutes: then it is good to see that something happens.
    local quiet=()
    [ ! -x "$target/debug/runmint" ] || quiet=(--quiet)
    (cd "$root" && cargo build --locked ${quiet[@]+"${quiet[@]}"}) || die "the build failed"
    runmint="$target/debug/runmint"
}

# Starts `runmint serve` with its data in folder $1, its issuer under path $2 (may be empty), and
# waits until it is ready. The settings come from the environment. Sets `issuer`, `admin`,
# `server_pid`, and exports what the operator's commands need to find it.
start_runmint() {
    local data="$1" path="$2" public_port admin_port
    read -r public_port admin_port <<<"$(free_ports 2)"
    issuer="http://127.0.0.1:$public_port$path"
    # shellcheck disable=SC2034 # used by those that source this
    admin="http://127.0.0.1:$admin_port"
    export RUNMINT_ISSUER__URL="$issuer"
    export RUNMINT_SERVER__LISTEN="127.0.0.1:$public_port"
    export RUNMINT_ADMIN__LISTEN="127.0.0.1:$admin_port"
    export RUNMINT_DATA_DIR="$data"

    "$runmint" serve >"$data.log" 2>&1 &
    server_pid=$!
    at_exit stop_runmint

    local attempt
    for ((attempt = 0; attempt < 300; attempt++)); do
        if curl -fs -o /dev/null "http://127.0.0.1:$public_port$path/readyz"; then
            return 0
        fi
        kill -0 "$server_pid" 2>/dev/null || break
        sleep 0.1
    done
    say "runmint did not get ready; the end of its log:"
    tail -n 20 "$data.log" >&2
    exit 3
}

# Asks the runmint that we started to end. It is a failure if that takes more than ten seconds (then
# it is killed), or if it does not end well.
stop_runmint() {
    local pid="${server_pid:-}" attempt status=0
    server_pid=
    [ -n "$pid" ] || return 0
    kill "$pid" 2>/dev/null || true
    for ((attempt = 0; attempt < 100; attempt++)); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.1
    done
    kill -9 "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || status=$?
    [ "$status" -eq 0 ] || say "runmint did not end well: status $status"
    return "$status"
}

# Starts a private PostgreSQL on a free port of 127.0.0.1, stopped and deleted at the end, and
# exports RUNMINT_TEST_POSTGRES. Its role may do everything: each test makes its own database.
start_postgres() {
    need_postgres && need_python || return 1
    local bin folder password port attempt as_postgres=()
    bin="$(postgres_bin)"
    folder="$(mktemp -d "${TMPDIR:-/tmp}/runmint-postgres.XXXXXX")"
    at_exit "rm -rf '$folder'"
    if [ "$(id -u)" -eq 0 ]; then
        # PostgreSQL refuses to run as root; the distribution's package brings its own user.
        id postgres >/dev/null 2>&1 ||
            { missing "the user postgres, to run PostgreSQL as: useradd --system postgres"; return 1; }
        chown postgres "$folder"
        as_postgres=(runuser -u postgres --)
    fi

    # Other users of this machine reach the port too, hence a password even here. Nobody can guess it, so it is
    # hashed once (RFC 5802 section 2.2) instead of 4,096 times: tests open connections all the time.
    password="$(python3 -c 'import secrets; print(secrets.token_hex(16))')"
    (
        cd "$folder"
        # shellcheck disable=SC2016 # $1 is Python's first time, the inner shell's afterwards
        printf '%s' "$password" | python3 -c '
import base64, hashlib, hmac, secrets, sys
text = lambda key: base64.b64encode(key).decode()
salt = secrets.token_bytes(16)
salted = hashlib.pbkdf2_hmac("sha256", sys.stdin.buffer.read(), salt, 1)
client, server = (hmac.digest(salted, name, "sha256") for name in (b"Client Key", b"Server Key"))
stored = hashlib.sha256(client).digest()
print(f"SCRAM-SHA-256$1:{text(salt)}${text(stored)}:{text(server)}")' |
            "${as_postgres[@]}" sh -c 'umask 077; cat >"$1"' sh "$folder/password"
        "${as_postgres[@]}" "$bin/initdb" --pgdata="$folder/data" --username=runmint \
            --pwfile="$folder/password" --auth=scram-sha-256 --encoding=UTF8 --locale=C \
            --no-sync >"$folder/initdb.log" 2>&1
    ) || { say "initdb failed:"; cat "$folder/initdb.log" >&2; return 1; }

    at_exit "(cd '$folder' && ${as_postgres[*]} '$bin/pg_ctl' --pgdata='$folder/data' --mode=immediate --silent stop) >/dev/null 2>&1"
    for ((attempt = 0; attempt < 3; attempt++)); do
        # The port may be taken between the look and the start: then another one.
        port="$(free_ports 1)"
        # No fsync: the machine does not crash during a test, and a cluster lives for one run of it.
        if (
            cd "$folder"
            "${as_postgres[@]}" "$bin/pg_ctl" --pgdata="$folder/data" --log="$folder/data/server.log" \
                --wait --silent --options="-p $port -c listen_addresses=127.0.0.1 \
                -c unix_socket_directories='$folder' -c max_connections=300 -c fsync=off \
                -c synchronous_commit=off -c full_page_writes=off" start
        ) >&2; then
            export RUNMINT_TEST_POSTGRES="postgres://runmint:$password@127.0.0.1:$port/postgres"
            return 0
        fi
    done
    say "PostgreSQL did not start; the end of its log:"
    tail -n 20 "$folder/data/server.log" >&2
    return 1
}
