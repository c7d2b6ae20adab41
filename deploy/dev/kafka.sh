#!/usr/bin/env bash
# A real Apache Kafka of one's own, in KRaft mode, for tests and trials: on loopback, in one directory, with no service of the system.
#
#   kafka.sh fetch                                    brings the jars (Maven)
#   kafka.sh start DIRECTORY [--brokers N] [--secure [--prefix P]] starts it, waits until it answers, prints its addresses
#   kafka.sh stop DIRECTORY [NODE]                    stops what `start` started there, or one node of it
#   kafka.sh run DIRECTORY [--brokers N] [--secure [--prefix P]] the same as start; stops and removes DIRECTORY when its standard input ends
#
# A directory that was started before keeps its data, its ports and its secrets. --secure adds, to the plain listener, one with TLS and SASL
# (user `gateway`; PLAIN, SCRAM-SHA-256, SCRAM-SHA-512) and one with TLS where the client shows a certificate; DIRECTORY/tls has what they need.
# Who comes by these has just the rights that docs/kafka.md asks for, on topics and groups whose names begin with P (all, without --prefix); who comes by
# the plain one has all.
# The addresses are lines NAME=HOST:PORT[,...], also in DIRECTORY/addresses: PLAINTEXT, and with --secure SASL_SSL and SSL.
# Not for production: one small heap, a plain listener for whoever is on this machine, secrets in the directory.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
jars=${KAFKA_JARS:-${CARGO_TARGET_DIR:-$here/../../target}/tools/kafka}
patience_s=120

fail() {
    printf 'kafka: %s\n' "$*" >&2
    exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }

fetch() {
    local mark wanted
    wanted=$(cksum <"$here/kafka/pom.xml")
    mark=$jars/.complete
    [ "$(cat "$mark" 2>/dev/null || true)" != "$wanted" ] || return 0
    has mvn || fail "mvn is missing: run deploy/dev/install.sh, or install the Debian package maven"
    mkdir -p "$jars"
    # Two may come here at once, as two tests that are built for themselves do.
    exec 9>"$jars/.lock"
    flock 9
    if [ "$(cat "$mark" 2>/dev/null || true)" != "$wanted" ]; then
        rm -f "$jars"/*.jar
        mvn -q -B -f "$here/kafka/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$jars" >&2 ||
            fail "the jars of Apache Kafka could not be had: is Maven Central reachable?"
        printf '%s\n' "$wanted" >"$mark"
    fi
    exec 9>&-
}

# So many ports that nobody uses now.
free_ports() {
    python3 - "$1" <<'PY'
import socket, sys
held = [socket.socket() for _ in range(int(sys.argv[1]))]
for one in held:
    one.bind(("127.0.0.1", 0))
print(*(one.getsockname()[1] for one in held))
PY
}

# A certificate of our authority: NAME, what it is for.
certificate() {
    openssl req -newkey rsa:2048 -nodes -keyout "$tls/$1.key" -out "$tls/$1.csr" -subj "/CN=$1" 2>/dev/null
    openssl x509 -req -in "$tls/$1.csr" -CA "$tls/ca.pem" -CAkey "$tls/ca.key" -CAcreateserial -days 3650 -out "$tls/$1.pem" \
        -extfile <(printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\n') 2>/dev/null
    rm -f "$tls/$1.csr"
}

make_secrets() {
    tls=$dir/tls
    has openssl || fail "openssl is missing: run deploy/dev/install.sh"
    mkdir -p "$tls"
    openssl rand -hex 16 >"$tls/gateway.password"
    openssl req -x509 -newkey rsa:2048 -nodes -keyout "$tls/ca.key" -out "$tls/ca.pem" -days 3650 -subj "/CN=kafka-for-tests" 2>/dev/null
    certificate broker
    certificate gateway
    cat "$tls/broker.key" "$tls/broker.pem" >"$tls/broker-store.pem"
}

# Small and quick to start rather than quick to run.
java_options=(-Xmx"${KAFKA_HEAP:-384m}" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:-UsePerfData -cp "$jars/*"
    -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -Dorg.slf4j.simpleLogger.log.kafka.server=info
    -Dorg.slf4j.simpleLogger.showDateTime=true)

# Writes the configuration of all nodes and formats their storage.
lay_out() {
    local node ports voters addresses='' secured='' users=() id
    # shellcheck disable=SC2207 # ports are numbers
    ports=($(free_ports $((brokers * 4))))
    voters=1@127.0.0.1:${ports[0]}
    [ "$secure" -eq 0 ] || make_secrets
    for node in $(seq "$brokers"); do
        local own=("${ports[@]:$(((node - 1) * 4)):4}")
        local listeners=PLAINTEXT://127.0.0.1:${own[1]} roles=broker
        addresses+=${addresses:+,}127.0.0.1:${own[1]}
        if [ "$secure" -eq 1 ]; then
            listeners+=,SASL_SSL://localhost:${own[2]},SSL://localhost:${own[3]}
            secured+=${secured:+ }localhost:${own[2]}/localhost:${own[3]}
        fi
        mkdir -p "$dir/node-$node"
        {
            # The first node is the controller too; the others are brokers only.
            if [ "$node" -eq 1 ]; then
                roles=broker,controller
                printf 'listeners=%s,CONTROLLER://127.0.0.1:%s\n' "$listeners" "${own[0]}"
            else
                printf 'listeners=%s\n' "$listeners"
            fi
            cat <<CONF
process.roles=$roles
node.id=$node
controller.quorum.voters=$voters
controller.listener.names=CONTROLLER
advertised.listeners=$listeners
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL
log.dirs=$dir/node-$node/data
num.partitions=1
auto.create.topics.enable=false
offsets.topic.replication.factor=$brokers
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=$brokers
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=$brokers
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.retention.check.interval.ms=500
log.segment.delete.delay.ms=100
num.network.threads=2
num.io.threads=2
controlled.shutdown.enable=$([ "$brokers" -gt 1 ] && echo true || echo false)
CONF
            if [ "$secure" -eq 1 ]; then
                cat <<CONF
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
ssl.keystore.type=PEM
ssl.keystore.location=$tls/broker-store.pem
ssl.truststore.type=PEM
ssl.truststore.location=$tls/ca.pem
listener.name.ssl.ssl.client.auth=required
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_gateway="$(cat "$tls/gateway.password")";
listener.name.sasl_ssl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
CONF
            fi
        } >"$dir/node-$node/server.properties"
    done
    if [ "$secure" -eq 1 ]; then
        for id in 256 512; do
            users+=(--add-scram "SCRAM-SHA-$id=[name=gateway,password=$(cat "$tls/gateway.password")]")
        done
    fi
    id=$(openssl rand -base64 16 | tr '+/' '-_' | tr -d '=')
    for node in $(seq "$brokers"); do
        java "${java_options[@]}" kafka.tools.StorageTool format "--cluster-id=$id" -c "$dir/node-$node/server.properties" "${users[@]}" >"$dir/node-$node/format.log" 2>&1 ||
            fail "the storage of node $node could not be formatted: $(cat "$dir/node-$node/format.log")"
    done
    {
        printf 'PLAINTEXT=%s\n' "$addresses"
        if [ "$secure" -eq 1 ]; then
            printf 'SASL_SSL=%s\n' "$(printf '%s\n' $secured | cut -d/ -f1 | paste -sd,)"
            printf 'SSL=%s\n' "$(printf '%s\n' $secured | cut -d/ -f2 | paste -sd,)"
        fi
    } >"$dir/addresses.new"
    mv "$dir/addresses.new" "$dir/addresses"
}

alive() { kill -0 "$1" 2>/dev/null; }

start_node() {
    local node=$1 home=$dir/node-$1
    if [ -e "$home/pid" ] && alive "$(cat "$home/pid")"; then
        return 0
    fi
    java "${java_options[@]}" kafka.Kafka "$home/server.properties" </dev/null >"$home/server.log" 2>&1 &
    printf '%s\n' "$!" >"$home/pid"
}

await_node() {
    local node=$1 home=$dir/node-$1 deadline=$((SECONDS + patience_s))
    until grep -qE 'Kafka Server started|KafkaRaftServer.*started' "$home/server.log" 2>/dev/null; do
        alive "$(cat "$home/pid")" || fail "node $node ended by itself: $(tail -n 40 "$home/server.log")"
        [ "$SECONDS" -lt "$deadline" ] || fail "node $node is not up after ${patience_s}s: $(tail -n 40 "$home/server.log")"
        sleep 0.1
    done
}

# Gives the user, and whoever shows the certificate, the rights of the table in docs/kafka.md; in the words of the protocol (CreateAcls,
# version 1), since the tool that does it comes with a distribution of Kafka and not with its jars. A right that is there is given again.
grant() {
    python3 - "$(sed -n 's/^PLAINTEXT=\([^,]*\).*/\1/p' "$dir/addresses")" "$prefix" <<'PY'
import socket, struct, sys

host, port = sys.argv[1].rsplit(":", 1)
prefix = sys.argv[2]
TOPIC, GROUP, CLUSTER = 2, 3, 4
LITERAL, PREFIXED = 3, 4
READ, WRITE, CREATE, ALTER, DESCRIBE, DESCRIBE_CONFIGS, ALTER_CONFIGS, IDEMPOTENT_WRITE = 3, 4, 5, 7, 8, 10, 11, 12
ALLOW = 3
ours = (prefix, PREFIXED) if prefix else ("*", LITERAL)
rights = [(TOPIC, *ours, right) for right in (DESCRIBE, READ, WRITE, DESCRIBE_CONFIGS, CREATE, ALTER, ALTER_CONFIGS)]
rights += [(GROUP, *ours, right) for right in (READ, DESCRIBE)]
rights += [(CLUSTER, "kafka-cluster", LITERAL, right) for right in (IDEMPOTENT_WRITE, DESCRIBE)]


def text(value):
    data = value.encode()
    return struct.pack(">h", len(data)) + data


wanted = [(principal, *right) for principal in ("User:gateway", "User:CN=gateway") for right in rights]
body = struct.pack(">i", len(wanted))
for principal, kind, name, pattern, right in wanted:
    body += struct.pack(">b", kind) + text(name) + struct.pack(">b", pattern)
    body += text(principal) + text("*") + struct.pack(">bb", right, ALLOW)
request = struct.pack(">hhi", 30, 1, 1) + text("kafka.sh") + body
with socket.create_connection((host, int(port)), timeout=60) as broker:
    broker.sendall(struct.pack(">i", len(request)) + request)
    answer = broker.makefile("rb")
    size = struct.unpack(">i", answer.read(4))[0]
    answer = answer.read(size)
# Correlation, throttle, then for each right an error and what is said of it.
at = 8
count = struct.unpack_from(">i", answer, at)[0]
at += 4
for number in range(count):
    error, length = struct.unpack_from(">hh", answer, at)
    at += 4 + max(length, 0)
    if error:
        sys.exit(f"kafka: right {wanted[number]} was refused: error {error} {answer[at - max(length, 0):at].decode()}")
if count != len(wanted):
    sys.exit(f"kafka: {len(wanted)} rights were to be given, {count} were answered")
PY
}

start() {
    has java || fail "java is missing: run deploy/dev/install.sh, or install the Debian package openjdk-17-jre-headless"
    has python3 || fail "python3 is missing: run deploy/dev/install.sh"
    fetch
    mkdir -p "$dir"
    [ -e "$dir/addresses" ] || lay_out
    local home
    for home in "$dir"/node-*; do start_node "${home##*node-}"; done
    for home in "$dir"/node-*; do await_node "${home##*node-}"; done
    [ "$secure" -eq 0 ] || grant
    cat "$dir/addresses"
}

stop_node() {
    local home=$dir/node-$1 pid deadline=$((SECONDS + 30))
    [ -e "$home/pid" ] || return 0
    pid=$(cat "$home/pid")
    # A process id may have been given to another meanwhile: only what runs from this directory is ours.
    if grep -qzF "$home/server.properties" "/proc/$pid/cmdline" 2>/dev/null; then
        kill "$pid" 2>/dev/null || true
        while alive "$pid"; do
            [ "$SECONDS" -lt "$deadline" ] || kill -9 "$pid" 2>/dev/null || true
            sleep 0.1
        done
    fi
    rm -f "$home/pid"
}

stop() {
    local home
    # The controller goes last, so that the others can say goodbye to it.
    for home in $(printf '%s\n' "$dir"/node-* | sort -r); do
        [ -z "$1" ] || [ "${home##*node-}" = "$1" ] || continue
        [ ! -d "$home" ] || stop_node "${home##*node-}"
    done
}

command=${1:-}
[ "$command" = fetch ] && { fetch; exit 0; }
dir=${2:-}
[ -n "$dir" ] || fail "usage: kafka.sh fetch | start DIRECTORY [--brokers N] [--secure [--prefix P]] | stop DIRECTORY [NODE] | run DIRECTORY ..."
mkdir -p "$dir"
dir=$(cd "$dir" && pwd)
tls=$dir/tls
shift 2
brokers=1
secure=0
prefix=
node=
while [ $# -gt 0 ]; do
    case $1 in
    --brokers) brokers=${2:?--brokers wants a number} && shift 2 ;;
    --secure) secure=1 && shift ;;
    --prefix) prefix=${2?--prefix wants the beginning of names} && shift 2 ;;
    [0-9]*) node=$1 && shift ;;
    *) fail "unknown option $1" ;;
    esac
done

case $command in
start) start ;;
stop) stop "$node" ;;
run)
    [ -z "$(ls -A "$dir")" ] || fail "$dir is not empty: run removes its directory in the end"
    trap 'stop ""; rm -rf "$dir"' EXIT
    trap 'exit 143' TERM INT HUP
    start
    # The reader of the addresses sees their end. Nothing is read from standard input: its end is the end of who started this.
    exec >&-
    read -r -d '' || true
    ;;
*) fail "unknown command $command" ;;
esac
