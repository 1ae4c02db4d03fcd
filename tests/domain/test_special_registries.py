"""The special ranges of IANA's registries, at their edges: the lowest and the highest address, and those just outside.

What is special is told here by a table of the tests' own (`tests/addresses.py`), not by that of the product.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest

from hookline.domain.networks import AllowedNetworks
from tests.addresses import (
    GIVEN_OUT_V6,
    SPECIAL_AND_PUBLIC_V4,
    SPECIAL_AND_PUBLIC_V6,
    SPECIAL_V4,
    SPECIAL_V6,
)

NOTHING_ALLOWED = AllowedNetworks()
V4_END, V6_END = 2**32 - 1, 2**128 - 1


def is_public_v4(address: IPv4Address) -> bool:
    return not any(address in network for network in SPECIAL_V4)


def is_public_v6(address: IPv6Address) -> bool:
    if address.ipv4_mapped is not None:
        return is_public_v4(address.ipv4_mapped)
    if address in IPv6Network("64:ff9b::/96"):
        return is_public_v4(IPv4Address(int(address) & V4_END))
    return address in GIVEN_OUT_V6 and not any(address in network for network in SPECIAL_V6)


def outside(network: IPv4Network | IPv6Network, end: int) -> list[int]:
    """The numbers of the addresses just before and just behind a range."""
    numbers = (int(network.network_address) - 1, int(network.broadcast_address) + 1)
    return [number for number in numbers if 0 <= number <= end]


@pytest.mark.parametrize("network", SPECIAL_V4, ids=str)
def test_a_special_range_of_ipv4_is_refused_from_its_lowest_to_its_highest_address(network: IPv4Network) -> None:
    for address in (network.network_address, network.broadcast_address):
        assert NOTHING_ALLOWED.reason(address) is not None
        assert AllowedNetworks([str(network)]).reason(address) is None
        mapped = IPv6Address(f"::ffff:{address}")
        assert NOTHING_ALLOWED.reason(mapped) is not None
        assert AllowedNetworks([str(network)]).reason(mapped) is None


@pytest.mark.parametrize("network", SPECIAL_V6, ids=str)
def test_a_special_range_of_ipv6_is_refused_from_its_lowest_to_its_highest_address(network: IPv6Network) -> None:
    for address in (network.network_address, network.broadcast_address):
        assert NOTHING_ALLOWED.reason(address) is not None
        assert AllowedNetworks([str(network), "0.0.0.0/0"]).reason(address) is None


@pytest.mark.parametrize("network", [*SPECIAL_V4, *SPECIAL_AND_PUBLIC_V4], ids=str)
def test_just_outside_a_special_range_of_ipv4_it_is_public_unless_the_next_one_begins(network: IPv4Network) -> None:
    for address in map(IPv4Address, outside(network, V4_END)):
        assert (NOTHING_ALLOWED.reason(address) is None) == is_public_v4(address), address


@pytest.mark.parametrize("network", [*SPECIAL_V6, *SPECIAL_AND_PUBLIC_V6, GIVEN_OUT_V6], ids=str)
def test_just_outside_a_special_range_of_ipv6_it_is_public_where_addresses_are_given_out(network: IPv6Network) -> None:
    for address in map(IPv6Address, outside(network, V6_END)):
        assert (NOTHING_ALLOWED.reason(address) is None) == is_public_v6(address), address


@pytest.mark.parametrize("network", [*SPECIAL_AND_PUBLIC_V4, *SPECIAL_AND_PUBLIC_V6], ids=str)
def test_what_the_registries_call_globally_reachable_may_be_reached(network: IPv4Network | IPv6Network) -> None:
    for address in (network.network_address, network.broadcast_address):
        assert NOTHING_ALLOWED.reason(address) is None


@pytest.mark.parametrize("network", SPECIAL_V4, ids=str)
@pytest.mark.parametrize(
    "wrapping", ["::ffff:{}", "::{}", "::ffff:0:{}", "64:ff9b::{}", "64:ff9b:1::{}", "2a00:1450::5efe:{}"]
)
def test_no_wrapping_makes_a_special_address_of_ipv4_public(network: IPv4Network, wrapping: str) -> None:
    for address in (network.network_address, network.broadcast_address):
        assert NOTHING_ALLOWED.reason(IPv6Address(wrapping.format(address))) is not None


@pytest.mark.parametrize("network", SPECIAL_V4, ids=str)
def test_6to4_and_teredo_do_not_open_what_they_carry_where_they_are_allowed(network: IPv4Network) -> None:
    tunnels = AllowedNetworks(["2002::/16", "2001::/32"])
    for number in map(int, (network.network_address, network.broadcast_address)):
        six_to_four = 0x2002 << 112 | number << 80 | 1
        teredo_client = 0x2001_0000_0808_0808 << 64 | (number ^ V4_END)
        teredo_server = 0x2001_0000 << 96 | number << 64 | (0x0808_0808 ^ V4_END)
        for wrapped in (six_to_four, teredo_client, teredo_server):
            assert tunnels.reason(IPv6Address(wrapped)) is not None
