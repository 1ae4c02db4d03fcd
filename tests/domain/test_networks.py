"""Where deliveries may connect: every kind of address, in every spelling and wrapping."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.domain.networks import AllowedNetworks, literal_address, plainly_refused
from hookline.errors import Invalid
from tests.addresses import NAMES, PUBLIC, REFUSED

NOTHING_ALLOWED = AllowedNetworks()


@pytest.mark.parametrize(("host", "address", "reason"), REFUSED)
def test_what_is_not_public_is_refused_in_every_spelling(host: str, address: str, reason: str) -> None:
    literal = literal_address(host)
    assert literal == ip_address(address)
    assert literal is not None
    assert NOTHING_ALLOWED.reason(literal) == reason
    assert plainly_refused(host, NOTHING_ALLOWED) == (
        f"{literal} is not public ({reason}), and HOOKLINE_ALLOW_NETWORKS does not allow it."
    )


@pytest.mark.parametrize("host", PUBLIC)
def test_what_is_public_is_let_through(host: str) -> None:
    literal = literal_address(host)
    assert literal is not None
    assert NOTHING_ALLOWED.refusal(literal) is None
    assert plainly_refused(host, NOTHING_ALLOWED) is None


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_no_address(name: str) -> None:
    assert literal_address(name) is None


@pytest.mark.parametrize(
    "name", ["localhost", "LocalHost", "localhost.", "a.localhost", "a.b.LOCALHOST.", "ｌocalhost"]
)
def test_names_of_this_machine_are_refused_at_sight_unless_loopback_is_allowed(name: str) -> None:
    assert plainly_refused(name, NOTHING_ALLOWED) == (
        f"{name} is this machine itself (loopback), and HOOKLINE_ALLOW_NETWORKS does not allow it."
    )
    assert plainly_refused(name, AllowedNetworks(["127.0.0.0/8"])) is None
    assert plainly_refused(name, AllowedNetworks(["::1"])) is None


@pytest.mark.parametrize("name", ["a.example", "localhost.example", "mylocalhost", "127.0.0.1.nip.io"])
def test_other_names_are_left_for_the_resolver(name: str) -> None:
    assert plainly_refused(name, NOTHING_ALLOWED) is None


@pytest.mark.parametrize(
    ("cidr", "host"),
    [
        ("127.0.0.0/8", "127.0.0.1"),
        ("127.0.0.0/8", "2130706433"),
        ("127.0.0.0/8", "::ffff:127.0.0.1"),
        ("127.0.0.0/8", "64:ff9b::127.0.0.1"),
        ("::ffff:127.0.0.0/104", "127.0.0.1"),
        ("::ffff:127.0.0.0/104", "::ffff:127.0.0.1"),
        ("127.0.0.1", "127.0.0.1"),
        (" 10.2.0.0/16 ", "10.2.255.255"),
        ("169.254.169.254/32", "169.254.169.254"),
        ("::1", "::1"),
        ("fd00::/8", "fd12::1"),
        ("fe80::/10", "fe80::1%eth0"),
        ("0.0.0.0/0", "10.0.0.1"),
        ("::/0", "fc00::1"),
        ("2002::/16", "2002:808:808::1"),
        ("2001::/32", "2001:0:808:808:0:0:f7f7:f7f7"),
        ("64:ff9b:1::/48", "64:ff9b:1::8.8.8.8"),
    ],
)
def test_an_allowed_network_is_let_through(cidr: str, host: str) -> None:
    assert plainly_refused(host, AllowedNetworks([cidr])) is None
    assert plainly_refused(host, NOTHING_ALLOWED) is not None


@pytest.mark.parametrize(
    ("cidrs", "host"),
    [
        (["127.0.0.0/8"], "::1"),
        (["127.0.0.0/8"], "10.0.0.1"),
        (["10.2.0.0/16"], "10.3.0.1"),
        (["::/0"], "127.0.0.1"),
        (["::/0"], "::ffff:127.0.0.1"),
        (["0.0.0.0/0"], "::1"),
        (["2002::/16"], "2002:7f00:1::"),  # 127.0.0.1 inside
        (["2001::/32"], "2001:0:808:808:0:0:80ff:fffe"),  # a client at 127.0.0.1
        (["2001::/32"], "2001:0:a00:1:0:0:f7f7:f7f7"),  # a server at 10.0.0.1
        (["64:ff9b:1::/48"], "64:ff9b:1::10.0.0.1"),
        (["127.0.0.0/8"], "2002:7f00:1::"),
        (["127.0.0.0/8"], "::127.0.0.1"),
    ],
)
def test_an_allowed_network_opens_no_other(cidrs: list[str], host: str) -> None:
    assert plainly_refused(host, AllowedNetworks(cidrs)) is not None


@pytest.mark.parametrize(
    "cidr", ["", "lan", "10.0.0.0/33", "10.0.0.1/8", "10.0.0.0/8/8", "300.0.0.0/8", "10.0.0.0-10.0.0.9"]
)
def test_a_network_that_is_none_is_refused_with_a_sentence(cidr: str) -> None:
    with pytest.raises(Invalid, match=r"expected networks such as 127\.0\.0\.0/8, with commas between, got "):
        AllowedNetworks(["127.0.0.0/8", cidr])


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
def test_nothing_that_python_calls_private_or_special_passes_in_ipv4(address: IPv4Address) -> None:
    passes = NOTHING_ALLOWED.reason(address) is None
    special = address.is_private or address.is_multicast or address.is_reserved or address.is_link_local
    assert not passes or not special
    assert (NOTHING_ALLOWED.reason(IPv6Address(0xFFFF_0000_0000 | int(address))) is None) == passes


@given(st.ip_addresses(v=6))
def test_what_passes_in_ipv6_was_given_out_or_carries_ipv4(address: IPv6Address) -> None:
    passes = NOTHING_ALLOWED.reason(address) is None
    given_out = int(address) >> 125 == 1
    by_nat64 = int(address) >> 32 == 0x0064_FF9B << 64
    assert not passes or given_out or by_nat64 or address.ipv4_mapped is not None


@given(st.integers(0, 2**32 - 1), st.sampled_from(["{0}", "0x{0:x}", "0{0:o}", "{1}.{2}", "0x{1:x}.0{2:o}"]))
def test_every_number_spells_the_address_it_is(number: int, spelling: str) -> None:
    spelled = spelling.format(number, number >> 24, number & 0xFF_FFFF)
    assert literal_address(spelled) == IPv4Address(number)


@given(st.text(max_size=40))
def test_no_text_at_all_makes_it_stumble(text: str) -> None:
    address = literal_address(text)
    refusal = plainly_refused(text, NOTHING_ALLOWED)
    assert refusal is None or refusal.endswith(".")
    assert address is None or literal_address(str(address)) == address
