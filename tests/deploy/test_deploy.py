"""What is in deploy/ fits the program: its settings exist and can be read, its ports and paths are where it listens,
its stops are as long as a stop may take, and nothing in it runs as root.

What only a real builder can tell (that the image builds from its base) is not asked here; its steps are gone through by
`python -m tests.deploy.image`.
"""

import asyncio
import configparser
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from hookline.api.app import IS_READY, IS_UP
from hookline.bootstrap import server
from hookline.domain.webhooks import MAX_TIMEOUT_SECONDS
from hookline.settings import ALL, ALL_ROLES, CONFIG, PostgresUrl, load_settings
from tests.acceptance.serving import Server
from tests.deploy.image import ROOT, environment, health_check, steps

DEPLOY: Final = ROOT / "deploy"
COMPOSE: Final[Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
KUBERNETES: Final = DEPLOY / "kubernetes"
KUSTOMIZATION: Final[Any] = yaml.safe_load((KUBERNETES / "kustomization.yaml").read_text("utf-8"))
MANIFESTS: Final[dict[str, Any]] = {
    each["kind"]: each
    for name in KUSTOMIZATION["resources"]
    for each in yaml.safe_load_all((KUBERNETES / name).read_text("utf-8"))
}
POD: Final = MANIFESTS["Deployment"]["spec"]["template"]["spec"]
[CONTAINER] = POD["containers"]
NODES: Final = {name: service for name, service in COMPOSE["services"].items() if service["image"] == "hookline"}
#: What an orderly stop may take: open requests, attempts under way, and a little to keep what came of them.
STOP_SECONDS: Final = server.GRACE_SECONDS + MAX_TIMEOUT_SECONDS + 5
PORT: Final = int(environment()["HOOKLINE_LISTEN"].rpartition(":")[2])


def instructions(word: str, stage: int = -1) -> list[str]:
    """What stands behind this word in a stage of the Dockerfile."""
    return [step.rest for step in steps()[stage] if step.word == word]


def unit() -> Mapping[str, list[str]]:
    """The settings of the service; some of them are there more than once."""
    section = (DEPLOY / "hookline.service").read_text("utf-8").partition("[Service]")[2].partition("[Install]")[0]
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", section, re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


# Settings


def test_every_setting_that_is_named_exists() -> None:
    known = {setting.name for setting in ALL} | {CONFIG}
    for file in DEPLOY.rglob("*"):
        if file.is_file():
            assert set(re.findall(r"\bHOOKLINE_[A-Z_]+\b", file.read_text("utf-8"))) <= known, file.name


def substituted(values: Mapping[str, str]) -> dict[str, str]:
    """The values as Compose hands them over, to somebody who has given those that must be."""
    return {name: re.sub(r"\$\{\w+:-?\??([^}]*)\}", "", value) for name, value in values.items()}


@pytest.mark.parametrize("name", NODES)
def test_the_settings_of_the_nodes_beside_a_database_can_be_read(name: str) -> None:
    settings = load_settings({**environment(), **substituted(NODES[name]["environment"])})
    assert isinstance(settings.database, PostgresUrl)
    assert settings.database.url == "postgresql://hookline@database/hookline"
    assert (settings.host, settings.port, settings.roles) == ("0.0.0.0", PORT, ALL_ROLES)


def test_the_settings_of_the_image_keep_a_file_in_its_volume() -> None:
    settings = load_settings(environment())
    assert isinstance(settings.database, Path)
    assert [str(settings.database.parent)] == instructions("VOLUME") == instructions("WORKDIR")


def test_the_settings_of_the_pods_can_be_read() -> None:
    secret = {"HOOKLINE_DATABASE": "postgresql://db.example/hookline", "HOOKLINE_API_KEY": "k" * 24}
    settings = load_settings({**environment(), **MANIFESTS["ConfigMap"]["data"], **secret})
    assert settings.port == PORT
    assert [each for each in CONTAINER["envFrom"] if "secretRef" in each] == [{"secretRef": {"name": "hookline"}}]


# Ports and paths


def test_every_port_leads_to_where_the_nodes_listen() -> None:
    assert instructions("EXPOSE") == [str(PORT)]
    published = [port.rsplit(":", 1) for node in NODES.values() for port in node["ports"]]
    assert {inside for _, inside in published} == {str(PORT)}
    assert len({outside for outside, _ in published}) == len(NODES) == 2
    assert all(outside.startswith("127.0.0.1:") for outside, _ in published)  # plain HTTP is for this machine alone
    assert CONTAINER["ports"] == [{"name": "http", "containerPort": PORT}]
    assert {port["targetPort"] for port in MANIFESTS["Service"]["spec"]["ports"]} == {"http"}


def test_every_probe_asks_what_there_is_and_no_restart_follows_from_a_database_that_is_away() -> None:
    probes = {name: CONTAINER[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert {probe["port"] for probe in probes.values()} == {"http"}
    assert [probe["path"] for probe in probes.values()] == [IS_UP, IS_UP, IS_READY]
    assert f"'{IS_UP}'" in instructions("HEALTHCHECK")[0]


@pytest.mark.slow
def test_the_image_asks_a_node_how_it_is(tmp_path: Path) -> None:
    async def scenario() -> int:
        async with Server.running(tmp_path) as server:
            listen = f"0.0.0.0:{server.port}"
            assert await asyncio.to_thread(health_check, HOOKLINE_LISTEN=listen, http_proxy="http://127.0.0.1:9") == 0
        return await asyncio.to_thread(health_check, HOOKLINE_LISTEN=listen)

    assert asyncio.run(scenario()) == 1


# Stops


def test_every_stop_may_take_as_long_as_it_needs() -> None:
    assert instructions("STOPSIGNAL") == ["SIGTERM"]
    assert unit()["KillSignal"] == ["SIGTERM"]
    [pause] = re.findall(r"sleep\((\d+)\)", " ".join(CONTAINER["lifecycle"]["preStop"]["exec"]["command"]))
    assert POD["terminationGracePeriodSeconds"] >= STOP_SECONDS + int(pause)
    assert int(unit()["TimeoutStopSec"][0]) >= STOP_SECONDS
    for node in NODES.values():
        assert seconds(node) >= STOP_SECONDS
    assert seconds(COMPOSE["services"]["database"]) > max(map(seconds, NODES.values()))


def seconds(service: Mapping[str, Any]) -> int:
    return int(service["stop_grace_period"].removesuffix("s"))


# Rights


def test_nothing_runs_as_root_and_nothing_is_written_outside_of_what_is_given() -> None:
    [user] = instructions("USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", user)
    assert f"--uid {user.partition(':')[0]} " in instructions("RUN")[0]
    pod = POD["securityContext"]
    assert f"{pod['runAsUser']}:{pod['runAsGroup']}" == user
    assert pod["runAsNonRoot"]
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(POD)
    inside = CONTAINER["securityContext"]
    assert inside["readOnlyRootFilesystem"]
    assert not inside["allowPrivilegeEscalation"]
    assert inside["capabilities"] == {"drop": ["ALL"]}
    for node in NODES.values():
        assert node["read_only"]
        assert node["cap_drop"] == ["ALL"]
        assert "no-new-privileges:true" in node["security_opt"]
    for name in ("DynamicUser", "NoNewPrivileges"):
        assert unit()[name] == ["yes"]
    assert unit()["ProtectSystem"] == ["strict"]


def test_no_password_and_no_key_is_written_down() -> None:
    for service in COMPOSE["services"].values():
        for name in {"PGPASSWORD", "POSTGRES_PASSWORD", "HOOKLINE_API_KEY"} & set(service["environment"]):
            assert service["environment"][name].startswith("${")
    assert "Secret" not in MANIFESTS
    assert unit()["LoadCredential"] == ["hookline.toml:/etc/hookline.toml"]
    assert unit()["Environment"] == ["HOOKLINE_CONFIG=%d/hookline.toml"]


# The parts fit one another


def test_every_pod_is_counted_served_and_spared() -> None:
    labels = MANIFESTS["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert MANIFESTS["Service"]["spec"]["selector"] == labels
    for kind in ("Deployment", "PodDisruptionBudget"):
        assert MANIFESTS[kind]["spec"]["selector"]["matchLabels"] == labels
    assert MANIFESTS["Deployment"]["spec"]["replicas"] > MANIFESTS["PodDisruptionBudget"]["spec"]["maxUnavailable"]
    assert POD["serviceAccountName"] == MANIFESTS["ServiceAccount"]["metadata"]["name"]


def test_what_the_image_is_made_of_is_there_and_is_sent_to_the_builder() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").splitlines()
    sent = [line.removeprefix("!") for line in ignored if line.startswith("!")]
    copied = {source for step in instructions("COPY", 1) for source in step.split()[:-1]}
    assert copied == set(sent)
    assert all((ROOT / source).exists() for source in copied)
    assert {step.rest.partition(" AS ")[0] for stage in steps()[1:] for step in stage if step.word == "FROM"} == {
        "${PYTHON_IMAGE}"
    }


def locked(name: str) -> set[str]:
    return set(re.findall(r"^\S+==\S+", (ROOT / "locks" / name).read_text("utf-8"), re.MULTILINE))


def test_the_image_holds_the_versions_that_the_tests_run_with_and_no_tools() -> None:
    assert locked("image.txt") < locked("run.txt") <= locked("dev.txt")
    assert not {name for name in locked("image.txt") if name.startswith(("hatchling", "editables", "pytest"))}


def test_the_wheel_has_all_that_the_program_reads(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--no-index",
    ]
    subprocess.run([*command, "--no-build-isolation", "--wheel-dir", tmp_path, ROOT], check=True)
    [wheel] = tmp_path.glob("hookline-*.whl")
    with zipfile.ZipFile(wheel) as file:
        packed = {name for name in file.namelist() if name.startswith("hookline/")}
    assert packed == set(of_package())


def of_package() -> Iterator[str]:
    listed = subprocess.run(["git", "ls-files", "src"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    yield from (name.removeprefix("src/") for name in listed.splitlines())


def test_the_unit_is_well_formed() -> None:
    parser = configparser.RawConfigParser(strict=False)
    parser.read(DEPLOY / "hookline.service", "utf-8")
    assert parser.sections() == ["Unit", "Service", "Install"]
    assert parser["Service"]["ExecStart"].endswith("/bin/hookline serve")
    assert parser["Service"]["WorkingDirectory"] == f"/var/lib/{parser['Service']['StateDirectory']}"


def test_all_manifests_are_applied_together() -> None:
    assert {*KUSTOMIZATION["resources"], "kustomization.yaml"} == {file.name for file in KUBERNETES.iterdir()}
