"""What deploy/ lets a node have: memory, networks, and images that are exactly those that were meant.

A node's memory is bounded in bytes (docs/explanation/sizing.md). A limit below that bound would kill it again and
again, and one far above it would not protect its neighbours. The network policy draws the line where the guard of
deliveries draws it.
"""

import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_network
from typing import Any, Final

import pytest
import yaml

from hookline.domain.networks import AllowedNetworks, Network
from tests.addresses import SPECIAL_V4, SPECIAL_V6
from tests.deploy.image import ROOT
from tests.deploy.test_deploy import COMPOSE, CONTAINER, MANIFESTS, NODES, POD, PORT, instructions, unit
from tests.docs import pages

#: Megabytes (1,000,000 bytes) that a node stays under, as docs/explanation/sizing.md promises.
NODE_MB: Final = 256
#: What a command beside it takes, in the same container: `hookline doctor`, the pause before a stop.
COMMAND_MB: Final = 100
_UNITS: Final = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "k": 2**10, "m": 2**20, "g": 2**30, "M": 2**20, "G": 2**30}
_DIGEST: Final = r"@sha256:[0-9a-f]{64}$"

POLICY: Final = MANIFESTS["NetworkPolicy"]["spec"]


def size(quantity: str) -> int:
    """Bytes of `384Mi` (Kubernetes), `384m` (Compose) or `384M` (systemd, whose units are powers of 1024)."""
    match = re.fullmatch(r"(\d+)([A-Za-z]+)", quantity)
    assert match, quantity
    return int(match[1]) * _UNITS[match[2]]


# Memory


def test_the_page_on_sizing_promises_what_the_limits_rest_on() -> None:
    assert f"{NODE_MB} MB" in pages.page("explanation/sizing.md")


@pytest.mark.parametrize("where", ["Kubernetes", *NODES, "systemd"])
def test_a_node_has_the_memory_that_it_is_promised_to_need_and_little_more(where: str) -> None:
    limit = {
        "Kubernetes": CONTAINER["resources"]["limits"]["memory"],
        "systemd": unit()["MemoryMax"][0],
        **{name: node["mem_limit"] for name, node in NODES.items()},
    }[where]
    assert (NODE_MB + COMMAND_MB) * 10**6 < size(limit) <= 2 * NODE_MB * 10**6


def test_a_pod_is_placed_where_the_memory_is_that_it_may_use() -> None:
    resources = CONTAINER["resources"]
    assert NODE_MB * 10**6 <= size(resources["requests"]["memory"]) <= size(resources["limits"]["memory"])
    assert "cpu" in resources["requests"]
    assert "cpu" not in resources["limits"]  # throttled nodes are late with deliveries and leases


def test_no_memory_is_swapped_out_and_a_service_is_slowed_down_before_it_is_killed() -> None:
    for node in NODES.values():
        assert node["memswap_limit"] == node["mem_limit"]
    assert unit()["MemorySwapMax"] == ["0"]
    assert NODE_MB * 10**6 < size(unit()["MemoryHigh"][0]) < size(unit()["MemoryMax"][0])
    assert unit()["Restart"] == ["always"]


def test_nothing_can_fill_the_disk_or_the_process_table_of_its_machine() -> None:
    for node in NODES.values():
        [tmp] = node["tmpfs"]
        assert tmp.startswith("/tmp:size=64m,")
        assert node["pids_limit"] == int(unit()["TasksMax"][0]) == 256
    assert {volume["name"]: volume["emptyDir"]["sizeLimit"] for volume in POD["volumes"]} == {"tmp": "64Mi"}
    limits = CONTAINER["resources"]["limits"]
    assert size(limits["ephemeral-storage"]) > size("64Mi")


def test_the_database_beside_the_nodes_has_a_limit_too() -> None:
    assert size(COMPOSE["services"]["database"]["mem_limit"]) > size(COMPOSE["services"]["database"]["shm_size"])


# Networks


def blocks(rule: dict[str, Any]) -> Iterator[tuple[Network, list[Network]]]:
    """Each block of addresses that a rule opens, and what it leaves out."""
    for peer in rule["to"]:
        if "ipBlock" in peer:
            block = peer["ipBlock"]
            yield ip_network(block["cidr"]), [ip_network(each) for each in block.get("except", [])]


def ports(rule: dict[str, Any]) -> list[tuple[str, int, int]]:
    return [(port["protocol"], port["port"], port.get("endPort", port["port"])) for port in rule["ports"]]


NAMES, DATABASE, INTERNET = POLICY["egress"]


def test_the_policy_is_on_every_node_and_on_both_directions() -> None:
    assert POLICY["podSelector"]["matchLabels"] == MANIFESTS["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert POLICY["policyTypes"] == ["Ingress", "Egress"]


def test_requests_come_in_on_the_port_of_the_api_and_on_no_other() -> None:
    [rule] = POLICY["ingress"]
    [port] = rule["ports"]
    assert port == {"port": "http", "protocol": "TCP"}
    assert {"name": port["port"], "containerPort": PORT} in CONTAINER["ports"]


def test_a_node_asks_for_names_and_reaches_its_database() -> None:
    assert ports(NAMES) == [("UDP", 53, 53), ("TCP", 53, 53)]
    assert ports(DATABASE) == [("TCP", 5432, 5432)]
    assert {str(block) for block, _ in blocks(NAMES)} == {"169.254.20.10/32"}  # the DNS cache of a machine
    assert all(left_out == [] for _, left_out in blocks(DATABASE))


def test_receivers_on_the_internet_are_reached_on_any_port() -> None:
    assert ports(INTERNET) == [("TCP", 1, 65535)]
    assert [str(block) for block, _ in blocks(INTERNET)] == ["0.0.0.0/0", "2000::/3"]


@pytest.mark.parametrize("special", [*SPECIAL_V4, *SPECIAL_V6], ids=str)
def test_no_special_range_is_reached_as_the_internet(special: Network) -> None:
    for block, left_out in blocks(INTERNET):
        if type(special) is type(block) and special.overlaps(block):
            assert any(special.subnet_of(each) for each in left_out)  # type: ignore[arg-type]  # of one kind


def test_all_that_is_left_out_would_be_refused_by_the_guard_of_deliveries() -> None:
    guard = AllowedNetworks()
    for block, left_out in blocks(INTERNET):
        assert all(each.subnet_of(block) for each in left_out)  # type: ignore[arg-type]  # of one kind
        for network in left_out:
            for address in (network.network_address, network.broadcast_address):
                assert guard.reason(address) is not None, network


def test_what_is_just_outside_of_it_is_reached() -> None:
    (_, v4), (_, v6) = blocks(INTERNET)
    for public in ("9.255.255.255", "11.0.0.0", "100.63.255.255", "172.32.0.0", "192.167.255.255", "223.255.255.255"):
        assert not any(IPv4Address(public) in network for network in v4)
    assert not any(network.overlaps(IPv6Network("2600::/12")) for network in v6 if isinstance(network, IPv6Network))
    assert IPv4Network("169.254.0.0/16") in v4  # the metadata services of clouds


def test_the_patches_that_the_page_gives_change_what_they_say() -> None:
    """JSON patches name a rule by its place."""
    text = pages.page("how-to/run-with-kubernetes.md")
    [block] = [each for each in pages.blocks(text) if each.title == "kustomization.yaml, with your networks"]
    patches = [
        (operation["path"], operation["value"])
        for patch in yaml.safe_load(block.code)["patches"]
        for operation in yaml.safe_load(patch["patch"])
    ]
    places = dict(patches)
    assert places["/spec/egress/1/to"] == [{"ipBlock": {"cidr": "10.4.0.5/32"}}]
    assert POLICY["egress"][1] is DATABASE
    assert places["/spec/egress/-"]["to"] == [{"ipBlock": {"cidr": "10.2.0.0/16"}}]
    assert places["/data/HOOKLINE_ALLOW_NETWORKS"] == "10.2.0.0/16"


# Images


def test_every_image_that_others_made_is_named_by_its_digest() -> None:
    [argument] = instructions("ARG", 0)
    assert re.search(_DIGEST, argument)
    others = [service["image"] for name, service in COMPOSE["services"].items() if name not in NODES]
    assert [image for image in others if not re.search(_DIGEST, image)] == []


def test_the_page_shows_how_our_own_image_is_named_by_its_digest() -> None:
    text = pages.page("how-to/run-with-kubernetes.md")
    [block] = [each for each in pages.blocks(text) if each.title == "kustomization.yaml"]
    [image] = yaml.safe_load(block.code)["images"]
    assert image["name"] == CONTAINER["image"].partition(":")[0]
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", image["digest"])
    assert "newTag" not in image
    assert "docker buildx imagetools inspect" in text


def test_the_commands_that_tell_a_newer_digest_stand_beside_each() -> None:
    for file in ("Dockerfile", "compose.yaml"):
        text = (ROOT / "deploy" / file).read_text("utf-8")
        assert text.count("docker buildx imagetools inspect ") == text.count("@sha256:") == 1, file
