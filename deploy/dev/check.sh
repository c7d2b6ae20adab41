#!/usr/bin/env bash
# Checks the files of deploy/ with the program itself, systemd and the tools that install.sh brought. Usage: check.sh PROGRAM TOOLS_DIRECTORY
set -euo pipefail

program=$(readlink -f "${1:?usage: check.sh PROGRAM TOOLS_DIRECTORY}")
tools=$(readlink -f "${2:?usage: check.sh PROGRAM TOOLS_DIRECTORY}")/deploy/bin
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

# The units, with the program that was just built in the place of the installed one; the template as each of the roles that the program knows.
installed=/usr/local/bin/hotline-gateway
roles=$("$program" serve --help | sed -nE 's/^ +- ([a-z]+): .*/\1/p')
[ -n "$roles" ] || fail "the program names no roles"
check_unit() { # SOURCE NAME ROLE
    local unit=$scratch/$2 said arguments
    grep -qF "ExecStart=$installed serve " "$deploy/$1" || fail "$1 does not start $installed serve"
    sed "s|$installed|$program|" "$deploy/$1" >"$unit"
    said=$(systemd-analyze verify --man=no --recursive-errors=no "$unit" 2>&1) || fail "systemd does not accept $2: $said"
    [ -z "$said" ] || fail "systemd warns of $2: $said"
    systemd-analyze security --offline=true --threshold="$exposure" --no-pager "$unit" >"$scratch/security" 2>&1 ||
        fail "$2 is more exposed than $exposure: $(cat "$scratch/security")"
    tail -n 1 "$scratch/security"
    # What the unit starts is what the command line takes.
    arguments=$(grep -oE '^ExecStart=.*' "$deploy/$1" | cut -d' ' -f2- | sed "s/%i/$3/g")
    # shellcheck disable=SC2086 # the unit's arguments are words
    "$program" $arguments --help >/dev/null || fail "the program does not take: $arguments"
}
check_unit hotline-gateway.service hotline-gateway.service ''
for role in $roles; do
    check_unit hotline-gateway@.service "hotline-gateway@$role.service" "$role"
done
# Both are held in by the same fence.
fence() { sed -n '/^# It can be killed/,$p' "$deploy/$1"; }
[ -n "$(fence hotline-gateway.service)" ] || fail "hotline-gateway.service has lost its fence"
diff <(fence hotline-gateway.service) <(fence hotline-gateway@.service) >&2 || fail "the two units are hardened differently"
# What the template sets by the environment is valid beside the scaled configuration.
settings=$(sed -n 's/^Environment=//p' "$deploy/hotline-gateway@.service" | sed 's/%l/machine/g; s/%i/pipeline/g')
# shellcheck disable=SC2086 # the settings are words
env $settings "$program" check-config --dir "$scratch/gateway.scaled.toml.d" --config "$deploy/gateway.scaled.toml" ||
    fail "the program does not take what the template unit sets: $settings"

# The image and its companions. There is no container engine here: each file is read by its own tool, and compared with the program.
"$tools/hadolint" "$deploy/Dockerfile" || fail "the Dockerfile is not as it should be"
"$tools/docker-compose" --file "$deploy/compose.yaml" --profile replicas config --format json >"$scratch/project" ||
    fail "compose.yaml is not valid"
"$deploy/dev/check-containers.py" "$program" <"$scratch/project"
"$tools/shellcheck" --severity=warning "$deploy"/dev/*.sh || fail "a script is not as it should be"

printf 'deploy check: example configurations, units, image and compose file are right\n'
