#!/usr/bin/env bash
# Checks the files of deploy/ with the program itself and with systemd. Usage: check.sh PROGRAM
set -euo pipefail

program=$(readlink -f "${1:?usage: check.sh PROGRAM}")
deploy=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# Exposure by `systemd-analyze security`, times ten; what it still counts is the network, which is this program's work.
exposure=15

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

fail() {
    printf 'deploy check: %s\n' "$*" >&2
    exit 1
}

# Each example is a whole configuration: with the secrets that it names it is valid, without them every one is named.
for example in gateway.example.toml gateway.scaled.toml; do
    directory=$scratch/$example.d
    install -d -m 0700 "$directory/secrets"
    if "$program" check-config --dir "$directory" --config "$deploy/$example" >"$scratch/without" 2>&1; then
        fail "$example is valid without its secrets"
    fi
    # What stands in a comment is an example of the example.
    names=$(grep -vE '^[[:space:]]*#' "$deploy/$example" | grep -oE 'secrets/[a-z0-9.-]+' | sort -u)
    [ -n "$names" ] || fail "$example names no secrets"
    for name in $names; do
        grep -qF "$name" "$scratch/without" || fail "check-config does not name the missing $name of $example"
        case $name in
        */database.url) secret=postgres://gateway@localhost/gateway ;;
        *) secret='only for this check' ;;
        esac
        (umask 077 && printf '%s\n' "$secret" >"$directory/$name")
    done
    "$program" check-config --dir "$directory" --config "$deploy/$example" || fail "$example is not valid"
done

# The unit, with the program that was just built in the place of the installed one.
unit=$scratch/hotline-gateway.service
installed=/usr/local/bin/hotline-gateway
grep -qF "ExecStart=$installed serve " "$deploy/hotline-gateway.service" || fail "the unit does not start $installed serve"
sed "s|$installed|$program|" "$deploy/hotline-gateway.service" >"$unit"
said=$(systemd-analyze verify --man=no --recursive-errors=no "$unit" 2>&1) || fail "systemd does not accept the unit: $said"
[ -z "$said" ] || fail "systemd warns of the unit: $said"
systemd-analyze security --offline=true --threshold="$exposure" --no-pager "$unit" >"$scratch/security" 2>&1 ||
    fail "the unit is more exposed than $exposure: $(cat "$scratch/security")"
tail -n 1 "$scratch/security"
# What the unit starts is what the command line takes.
arguments=$(grep -oE '^ExecStart=.*' "$deploy/hotline-gateway.service" | cut -d' ' -f2-)
# shellcheck disable=SC2086 # the unit's arguments are words
"$program" $arguments --help >/dev/null || fail "the program does not take: $arguments"

printf 'deploy check: example configurations and unit are right\n'
