#!/usr/bin/env bash
# A private PostgreSQL for tests and trial, listening on a free port of the loopback address and on a socket in DIRECTORY.
#
#   postgres.sh start DIRECTORY [-t] [-u PROCESS] [-c NAME=VALUE]...
#       Makes a cluster in DIRECTORY (or takes the one that is there), starts it, waits until it answers, and prints its DATABASE_URL.
#       -t  over TLS only: DIRECTORY/tls has the authority (ca.pem) and another that signed nothing (other-ca.pem); the DATABASE_URL asks for the server's
#           certificate
#       -u  for that process only: when it has ended, the server is stopped and DIRECTORY removed   -c  a setting of the server
#   postgres.sh stop DIRECTORY
#       Stops what `start` started there, and nothing else. The cluster stays; remove DIRECTORY to be rid of it.
#
# PostgreSQL refuses to run as root: for root the server runs as user postgres, whom the Debian package makes.
set -euo pipefail

usage="usage: postgres.sh start DIRECTORY [-t] [-u PROCESS] [-c NAME=VALUE]... | stop DIRECTORY"
order=${1:?$usage}
place=${2:?$usage}
shift 2

fail() {
    printf 'postgres: %s\n' "$*" >&2
    exit 1
}

programs=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -n 1)
[ -x "${programs:-/none}/initdb" ] || fail "PostgreSQL is missing: run deploy/dev/install.sh, or apt-get install postgresql-15"

as_server() {
    if [ "$(id -u)" -eq 0 ]; then
        runuser -u postgres -- "$@"
    else
        "$@"
    fi
}

# Whether the server that `start` started here is running.
runs() { as_server "$programs/pg_ctl" --pgdata="$place/data" status >/dev/null 2>&1; }

stop() {
    [ -d "$place/data" ] || fail "no cluster in $place"
    # Fast: open sessions are ended, what was committed is kept.
    ! runs || as_server "$programs/pg_ctl" --pgdata="$place/data" --mode=fast --wait --silent stop
}

# Certificates that live as long as the directory: an authority, the server's by it, and an authority that has nothing to do with it.
make_certificates() {
    local tls=$place/tls ca
    command -v openssl >/dev/null || fail "openssl is missing: run deploy/dev/install.sh"
    mkdir -p "$tls"
    for ca in ca other-ca; do
        openssl req -x509 -newkey rsa:2048 -nodes -keyout "$tls/$ca.key" -out "$tls/$ca.pem" -days 3650 -subj "/CN=$ca-for-tests" 2>/dev/null
    done
    openssl req -newkey rsa:2048 -nodes -keyout "$tls/server.key" -out "$tls/server.csr" -subj "/CN=postgres" 2>/dev/null
    openssl x509 -req -in "$tls/server.csr" -CA "$tls/ca.pem" -CAkey "$tls/ca.key" -CAcreateserial -days 3650 -out "$tls/server.pem" \
        -extfile <(printf 'subjectAltName=IP:127.0.0.1\nbasicConstraints=CA:FALSE\n') 2>/dev/null
    rm -f "$tls/server.csr"
    chmod 600 "$tls"/*.key
    [ "$(id -u)" -ne 0 ] || chown postgres "$tls/server.key"
}

start() {
    local until='' tls='' settings=() free port query=''
    while getopts tu:c: option; do
        case $option in
        t) tls=yes ;;
        u) until=$OPTARG ;;
        c) settings+=(-c "$OPTARG") ;;
        *) fail "$usage" ;;
        esac
    done
    if [ "$(id -u)" -eq 0 ]; then
        id postgres >/dev/null 2>&1 || fail "root may not run PostgreSQL, and there is no user postgres to run it as"
    fi
    mkdir -p "$place"
    place=$(readlink -f "$place")
    [ ${#place} -lt 80 ] || fail "the path $place is too long for a socket: choose a shorter one"
    if [ ! -e "$place/data/PG_VERSION" ]; then
        if [ "$(id -u)" -eq 0 ]; then
            chown postgres "$place"
            as_server test -x "$place" || fail "user postgres can't reach $place: each directory above must be open to it"
        fi
        # Trust is right here: who can reach the loopback address of this machine may use a cluster for tests.
        as_server "$programs/initdb" --pgdata="$place/data" --username=gateway --auth=trust --encoding=UTF8 --locale=C.UTF-8 \
            --no-instructions >"$place/initdb.log" 2>&1 || fail "initdb failed: $(cat "$place/initdb.log")"
    fi
    ! runs || fail "it runs already in $place"
    if [ -n "$tls" ]; then
        if [ ! -e "$place/tls/server.pem" ]; then
            make_certificates
            # Nobody comes in without TLS.
            as_server sed -i 's/^host /hostssl /' "$place/data/pg_hba.conf"
        fi
        settings+=(-c ssl=on -c "ssl_cert_file='$place/tls/server.pem'" -c "ssl_key_file='$place/tls/server.key'")
        query="?sslmode=verify-full&sslrootcert=$place/tls/ca.pem"
    fi
    # Another may take a free port between the look and the start: look again.
    for _ in 1 2 3 4 5; do
        free=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
        port=${POSTGRES_PORT:-$free}
        if as_server "$programs/pg_ctl" --pgdata="$place/data" --wait --silent --timeout=60 --log="$place/data/server.log" \
            --options="-p $port -c listen_addresses=127.0.0.1 -c unix_socket_directories='$place' ${settings[*]:-}" start >&2; then
            if [ -n "$until" ]; then
                # Away from this shell's session, so that nobody waits for it and no signal to the caller's group ends it first.
                setsid "$0" watch "$place" "$until" </dev/null >/dev/null 2>&1 &
            fi
            printf 'postgres://gateway@127.0.0.1:%s/postgres%s\n' "$port" "$query"
            return
        fi
    done
    fail "the server did not start: $(tail -n 5 "$place/data/server.log")"
}

case $order in
start) start "$@" ;;
stop) stop ;;
# Only `start` calls this.
watch)
    tail --pid="$1" -f /dev/null
    # Gone already when somebody removed it.
    [ ! -d "$place/data" ] || stop
    rm -rf "$place"
    ;;
*) fail "$usage" ;;
esac
