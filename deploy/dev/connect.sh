#!/usr/bin/env bash
# Kafka Connect's JDBC sink, standalone, as the peer of the ingest benchmark (crates/gateway-server/benches/load/ingest.rs).
#
#   connect.sh fetch                        brings the jars (Maven)
#   connect.sh run DIRECTORY TOPIC TABLE    writes the values of TOPIC, from its beginning, as they are into the column `body` of TABLE, whose key is
#                                           where the record stands in Kafka; goes on until its standard input ends. What it says is in DIRECTORY/connect.log.
#
# KAFKA_BOOTSTRAP_SERVERS and DATABASE_URL name the servers. CONNECT_TASKS: how many write side by side (4); CONNECT_BATCH: rows of a batch (500);
# CONNECT_HEAP (1g).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
jars=${CONNECT_JARS:-${CARGO_TARGET_DIR:-$here/../../target}/tools/connect}

fail() {
    printf 'connect: %s\n' "$*" >&2
    exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }

fetch() {
    local mark wanted
    wanted=$(cksum <"$here/kafka/connect/pom.xml")
    mark=$jars/.complete
    [ "$(cat "$mark" 2>/dev/null || true)" != "$wanted" ] || return 0
    has mvn || fail "mvn is missing: run deploy/dev/install.sh, or install the Debian package maven"
    mkdir -p "$jars"
    rm -f "$jars"/*.jar
    mvn -q -B -f "$here/kafka/connect/pom.xml" dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory="$jars" >&2 ||
        fail "the jars of Kafka Connect could not be had: is Maven Central reachable?"
    printf '%s\n' "$wanted" >"$mark"
}

# A database's address as Java's driver wants it, and its user and password: three lines.
address() {
    python3 - "${DATABASE_URL:?DATABASE_URL names no database}" <<'PY'
import sys
from urllib.parse import unquote, urlsplit

url = urlsplit(sys.argv[1])
options = "&".join(filter(None, [url.query, "reWriteBatchedInserts=true"]))
print(f"jdbc:postgresql://{url.hostname}:{url.port or 5432}{url.path}?{options}")
print(unquote(url.username or ""))
print(unquote(url.password or ""))
PY
}

run() {
    local place=$1 topic=$2 table=$3 said child
    has java || fail "java is missing: run deploy/dev/install.sh"
    fetch
    mkdir -p "$place"
    mapfile -t said < <(address)
    # Readable by this user alone: the database's password is in it.
    umask 077
    cat >"$place/worker.properties" <<CONF
bootstrap.servers=${KAFKA_BOOTSTRAP_SERVERS:?KAFKA_BOOTSTRAP_SERVERS names no servers}
key.converter=org.apache.kafka.connect.converters.ByteArrayConverter
value.converter=org.apache.kafka.connect.converters.ByteArrayConverter
header.converter=org.apache.kafka.connect.converters.ByteArrayConverter
offset.storage.file.filename=$place/offsets
plugin.discovery=service_load
listeners=http://127.0.0.1:0
CONF
    # A struct of one field is what a JDBC sink can make a row of.
    cat >"$place/sink.properties" <<CONF
name=bare-table
connector.class=io.debezium.connector.jdbc.JdbcSinkConnector
tasks.max=${CONNECT_TASKS:-4}
topics=$topic
connection.url=${said[0]}
connection.username=${said[1]}
connection.password=${said[2]:-}
insert.mode=insert
primary.key.mode=kafka
schema.evolution=none
collection.name.format=$table
batch.size=${CONNECT_BATCH:-500}
consumer.override.auto.offset.reset=earliest
consumer.override.max.poll.records=${CONNECT_BATCH:-500}
consumer.override.group.id=connect-$table-$$
transforms=body
transforms.body.type=org.apache.kafka.connect.transforms.HoistField\$Value
transforms.body.field=body
CONF
    java -Xmx"${CONNECT_HEAP:-1g}" -cp "$jars/*" -Dorg.slf4j.simpleLogger.defaultLogLevel=warn \
        org.apache.kafka.connect.cli.ConnectStandalone "$place/worker.properties" "$place/sink.properties" </dev/null >"$place/connect.log" 2>&1 &
    child=$!
    printf '%s\n' "$child"
    # shellcheck disable=SC2064 # this child
    trap "kill $child 2>/dev/null || true; wait $child 2>/dev/null || true" EXIT
    trap 'exit 143' TERM INT HUP
    # Nothing is read: the end of standard input is the end of who started this.
    read -r -d '' || true
}

case ${1:-} in
fetch) fetch ;;
run)
    [ $# -eq 4 ] || fail "usage: connect.sh run DIRECTORY TOPIC TABLE"
    run "$2" "$3" "$4"
    ;;
*) fail "usage: connect.sh fetch | run DIRECTORY TOPIC TABLE" ;;
esac
