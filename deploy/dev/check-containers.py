#!/usr/bin/env python3
"""Checks that the Dockerfile, compose.yaml and the program agree. Usage: check-containers.py PROGRAM, with the project of
`docker compose config --format json` on standard input. check.sh calls it."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import tomllib

DEPLOY = pathlib.Path(__file__).resolve().parent.parent
TOP = DEPLOY.parent


def must(holds, what):
    if not holds:
        sys.exit(f"deploy check: {what}")


def only(pattern, text, what):
    found = re.findall(pattern, text, re.MULTILINE)
    must(len(found) == 1, f"{what}: found {len(found)} times")
    return found[0]


def without_gateway_variables():
    return {name: value for name, value in os.environ.items() if not name.startswith("GATEWAY_")}


def check_image(dockerfile):
    """The image is built by a toolchain that can, of what there is, and says of itself what is so. Returns its environment and its port."""
    workspace = tomllib.loads((TOP / "Cargo.toml").read_text())["workspace"]
    server = tomllib.loads((TOP / "crates/gateway-server/Cargo.toml").read_text())
    toolchain = only(r"^FROM rust:(\d+\.\d+)\.\d+-", dockerfile, "the image of Rust in the Dockerfile")
    oldest = workspace["package"]["rust-version"]
    numbers = [[int(part) for part in version.split(".")[:2]] for version in (toolchain, oldest)]
    must(numbers[0] >= numbers[1], f"the Dockerfile builds with Rust {toolchain}, and the workspace needs {oldest}")
    features = only(r"--features (\S+)", dockerfile, "the features in the Dockerfile").split(",")
    must(set(features) <= set(server["features"]), f"gateway-server lacks a feature of the Dockerfile: {features}")
    must({"kafka-tls", "postgres"} <= set(features), "the image lacks Kafka over TLS or PostgreSQL")
    ignore = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    for needed in {"Cargo.toml", "Cargo.lock"} | {member.split("/")[0] for member in workspace["members"]}:
        must(f"!{needed}" in ignore, f"Dockerfile.dockerignore keeps {needed} from the builder")

    environment = dict(re.findall(r"(GATEWAY_\w+)=(\S+)", dockerfile))
    port = only(r"^EXPOSE (\d+)$", dockerfile, "EXPOSE in the Dockerfile")
    must(environment["GATEWAY_API__PUBLIC_ADDRESS"].endswith(f":{port}"), f"EXPOSE {port} is not where pushes are taken")
    must(only(r"^VOLUME (\S+)$", dockerfile, "VOLUME") == environment["GATEWAY_DIR"], "VOLUME is not the data directory")
    must(only(r"^USER (\d+):\d+$", dockerfile, "USER") != "0", "the image runs as root")
    defaults = tomllib.loads((TOP / "crates/gateway-server/default.toml").read_text())
    asked = only(r"/dev/tcp/([\d.]+/\d+)", dockerfile, "the address of the health check").replace("/", ":")
    must(asked == defaults["api"]["admin_address"], f"the health check asks {asked}, which is not api.admin_address")
    return environment, port


def check_gateway(program, name, service, project, image_environment, port):
    """What a container of the gateway is given is a valid configuration, and complete."""
    environment = image_environment | service.get("environment", {})
    mounts = {project["configs"][one["source"]]["file"]: one["target"] for one in service["configs"]}
    must(list(mounts.values()) == [environment["GATEWAY_CONFIG"]], f"{name}: the configuration is not mounted where it is looked for")
    must([one["target"] for one in service["volumes"]] == [environment["GATEWAY_DIR"]], f"{name}: no volume for the data directory")
    must(all(one["target"] == int(port) for one in service.get("ports", [])), f"{name}: another port than {port} is published")
    text = pathlib.Path(next(iter(mounts))).read_text()
    text = "".join(line for line in text.splitlines(keepends=True) if not line.lstrip().startswith("#"))
    named = set(re.findall(r"/run/secrets/[a-z0-9.-]+", text))
    given = {one["target"] for one in service["secrets"]}
    must(named == given, f"{name}: the configuration names {sorted(named)}, and the container is given {sorted(given)}")

    with tempfile.TemporaryDirectory() as scratch:
        for secret in named:
            path = pathlib.Path(scratch, pathlib.Path(secret).name)
            path.touch(mode=0o600)
            database = path.name == "database.url"
            path.write_text("postgres://gateway:only-for-this-check@postgres:5432/gateway\n" if database else "only for this check\n")
        config = pathlib.Path(scratch, "gateway.toml")
        config.write_text(text.replace("/run/secrets/", f"{scratch}/"))
        here = {"GATEWAY_DIR": scratch, "GATEWAY_CONFIG": str(config)}
        variables = without_gateway_variables() | environment | here
        said = subprocess.run([program, "check-config"], env=variables, capture_output=True, text=True)
        must(said.returncode == 0, f"{name}: the program does not take what compose.yaml gives it: {said.stdout}{said.stderr}")
        started = subprocess.run([program, "serve", "--help"], env=variables, capture_output=True, text=True)
        must(started.returncode == 0, f"{name}: {started.stderr}")
        roles = set(re.findall(r"^\s+- (\w+):", started.stdout, re.MULTILINE))
        asked = set(filter(None, environment.get("GATEWAY_ROLE", "").split(",")))
        must(asked <= roles, f"{name}: there is no such role: {sorted(asked - roles)}")


def main():
    program = sys.argv[1]
    project = json.load(sys.stdin)
    services = project["services"]
    image_environment, port = check_image((DEPLOY / "Dockerfile").read_text())

    tested = only(r"<version>(4\.\d+\.\d+)</version>", (DEPLOY / "dev/kafka/pom.xml").read_text(), "Kafka's version in the pom")
    must(services["kafka"]["image"] == f"apache/kafka:{tested}", f"compose.yaml runs {services['kafka']['image']}, tested is {tested}")
    must(services["postgres"]["image"].startswith("postgres:15."), "compose.yaml runs another PostgreSQL than is tested")
    version = tomllib.loads((TOP / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    gateways = {name: one for name, one in services.items() if one.get("configs")}
    must(len(gateways) == 2, "compose.yaml has one gateway and a replica")
    for name, service in gateways.items():
        must(service["image"] == f"hotline-gateway:{version}", f"{name}: the image is not of version {version}")
        check_gateway(program, name, service, project, image_environment, port)
    for key in ("GATEWAY_NODE__NAME", "GATEWAY_BUS__KAFKA__INSTANCE"):
        names = [one["environment"].get(key) for one in gateways.values()]
        must(None not in names and len(set(names)) == len(names), f"the processes need different {key}: {names}")


main()
