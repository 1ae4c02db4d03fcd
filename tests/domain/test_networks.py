"""Where deliveries may connect: every kind of address, in every spelling and wrapping."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.domain.networks import AllowedNetworks, literal_address, plainly_refused
from hookline.errors import Invalid

NOTHING_ALLOWED = AllowedNetworks()

#: A written host, what it spells, and why it is refused.
REFUSED = [
    # loopback, in every spelling of inet_aton
    ("127.0.0.1", "127.0.0.1", "loopback"),
    ("127.0.0.0", "127.0.0.0", "loopback"),
    ("127.255.255.255", "127.255.255.255", "loopback"),
    ("127.0.0.1.", "127.0.0.1", "loopback"),
    ("127.1", "127.0.0.1", "loopback"),
    ("127.0.1", "127.0.0.1", "loopback"),
    ("127.65535", "127.0.255.255", "loopback"),
    ("127.16777215", "127.255.255.255", "loopback"),
    ("127.0.513", "127.0.2.1", "loopback"),
    ("2130706433", "127.0.0.1", "loopback"),
    ("2130706433.", "127.0.0.1", "loopback"),
    ("0x7f000001", "127.0.0.1", "loopback"),
    ("0X7F000001", "127.0.0.1", "loopback"),
    ("0x7f.0x0.0x0.0x1", "127.0.0.1", "loopback"),
    ("0x7f.1", "127.0.0.1", "loopback"),
    ("0x7F.0.0.1", "127.0.0.1", "loopback"),
    ("0x0000000000007f.1", "127.0.0.1", "loopback"),
    ("0177.0.0.1", "127.0.0.1", "loopback"),
    ("0177.1", "127.0.0.1", "loopback"),
    ("000000177.0.0.01", "127.0.0.1", "loopback"),
    ("017700000001", "127.0.0.1", "loopback"),
    ("127.0x0.00.1", "127.0.0.1", "loopback"),
    ("127.0.0x1", "127.0.0.1", "loopback"),
    ("[127.0.0.1]", "127.0.0.1", "loopback"),
    (" 127.0.0.1 ", "127.0.0.1", "loopback"),
    ("１２７.0.0.1", "127.0.0.1", "loopback"),  # full-width digits
    ("127。0。0。1", "127.0.0.1", "loopback"),  # ideographic full stops
    ("127．0．0．1", "127.0.0.1", "loopback"),  # full-width full stops
    ("127｡0｡0｡1", "127.0.0.1", "loopback"),  # half-width ideographic full stops
    ("①②⑦.0.0.1", "127.0.0.1", "loopback"),
    ("0ｘ7f.1", "127.0.0.1", "loopback"),  # a full-width x
    ("::1", "::1", "loopback"),
    ("[::1]", "::1", "loopback"),
    ("[::1].", "::1", "loopback"),
    ("0:0:0:0:0:0:0:1", "::1", "loopback"),
    ("0000:0000:0000:0000:0000:0000:0000:0001", "::1", "loopback"),
    ("::0.0.0.1", "::1", "loopback"),
    ("::0001", "::1", "loopback"),
    # unspecified and "this network"
    ("0.0.0.0", "0.0.0.0", "unspecified"),
    ("0", "0.0.0.0", "unspecified"),
    ("00", "0.0.0.0", "unspecified"),
    ("0x0", "0.0.0.0", "unspecified"),
    ("0x", "0.0.0.0", "unspecified"),
    ("0.", "0.0.0.0", "unspecified"),
    ("0.0", "0.0.0.0", "unspecified"),
    ("0.0.0.1", "0.0.0.1", "this network"),
    ("0.255.255.255", "0.255.255.255", "this network"),
    ("1", "0.0.0.1", "this network"),
    ("::", "::", "unspecified"),
    ("[::]", "::", "unspecified"),
    # private
    ("10.0.0.0", "10.0.0.0", "private"),
    ("10.0.0.1", "10.0.0.1", "private"),
    ("10.255.255.255", "10.255.255.255", "private"),
    ("10.1", "10.0.0.1", "private"),
    ("167772161", "10.0.0.1", "private"),
    ("0xa000001", "10.0.0.1", "private"),
    ("012.0.0.1", "10.0.0.1", "private"),
    ("172.16.0.0", "172.16.0.0", "private"),
    ("172.31.255.255", "172.31.255.255", "private"),
    ("172.20.1", "172.20.0.1", "private"),
    ("2886729729", "172.16.0.1", "private"),
    ("192.168.0.0", "192.168.0.0", "private"),
    ("192.168.255.255", "192.168.255.255", "private"),
    ("192.168.257", "192.168.1.1", "private"),
    ("0300.0250.1.1", "192.168.1.1", "private"),
    ("0xc0a80101", "192.168.1.1", "private"),
    ("3232235777", "192.168.1.1", "private"),
    ("fc00::", "fc00::", "private, ULA"),
    ("fd12:3456:789a:1::1", "fd12:3456:789a:1::1", "private, ULA"),
    ("fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "private, ULA"),
    ("fec0::1", "fec0::1", "site-local"),
    ("feff::1", "feff::1", "site-local"),
    # link-local and cloud metadata
    ("169.254.0.1", "169.254.0.1", "link-local"),
    ("169.254.170.2", "169.254.170.2", "link-local"),
    ("169.254.255.255", "169.254.255.255", "link-local"),
    ("169.254.169.254", "169.254.169.254", "cloud metadata"),
    ("2852039166", "169.254.169.254", "cloud metadata"),
    ("0xa9fea9fe", "169.254.169.254", "cloud metadata"),
    ("0xa9.0xfe.0xa9.0xfe", "169.254.169.254", "cloud metadata"),
    ("0251.0376.0251.0376", "169.254.169.254", "cloud metadata"),
    ("0251.254.43518", "169.254.169.254", "cloud metadata"),
    ("169.254.0xa9fe", "169.254.169.254", "cloud metadata"),
    ("100.100.100.200", "100.100.100.200", "cloud metadata"),
    ("168.63.129.16", "168.63.129.16", "cloud metadata"),
    ("fd00:ec2::254", "fd00:ec2::254", "cloud metadata"),
    ("fe80::1", "fe80::1", "link-local"),
    ("febf:ffff::1", "febf:ffff::1", "link-local"),
    ("fe80::1%eth0", "fe80::1%eth0", "valid on one link only"),
    ("fe80::1%25eth0", "fe80::1%eth0", "valid on one link only"),
    ("[fe80::1%2]", "fe80::1%2", "valid on one link only"),
    ("2606:4700::1111%1", "2606:4700::1111%1", "valid on one link only"),
    ("::1%lo", "::1%lo", "valid on one link only"),
    # carriers, protocols, documentation, measurements
    ("100.64.0.0", "100.64.0.0", "shared by a carrier, CGNAT"),
    ("100.127.255.255", "100.127.255.255", "shared by a carrier, CGNAT"),
    ("1681915905", "100.64.0.1", "shared by a carrier, CGNAT"),
    ("192.0.0.0", "192.0.0.0", "for protocols"),
    ("192.0.0.170", "192.0.0.170", "for protocols"),
    ("192.0.0.192", "192.0.0.192", "for protocols"),
    ("192.0.2.1", "192.0.2.1", "documentation"),
    ("198.51.100.255", "198.51.100.255", "documentation"),
    ("203.0.113.7", "203.0.113.7", "documentation"),
    ("192.88.99.1", "192.88.99.1", "6to4 relay"),
    ("198.18.0.0", "198.18.0.0", "benchmarking"),
    ("198.19.255.255", "198.19.255.255", "benchmarking"),
    ("2001:2::1", "2001:2::1", "benchmarking"),
    ("2001:2:0:ffff::1", "2001:2:0:ffff::1", "benchmarking"),
    ("2001:10::1", "2001:10::1", "for protocols"),
    ("2001:20::1", "2001:20::1", "for protocols"),
    ("2001:1::1", "2001:1::1", "for protocols"),
    ("2001:1ff:ffff::1", "2001:1ff:ffff::1", "for protocols"),
    ("2001:db8::1", "2001:db8::1", "documentation"),
    ("2001:0DB8:0:0:0:0:0:1", "2001:db8::1", "documentation"),
    ("3fff::1", "3fff::1", "documentation"),
    ("3fff:fff:ffff::1", "3fff:fff:ffff::1", "documentation"),
    ("100::1", "100::1", "discarded"),
    ("5f00::1", "5f00::1", "segment routing"),
    # multicast, reserved, broadcast
    ("224.0.0.1", "224.0.0.1", "multicast"),
    ("239.255.255.255", "239.255.255.255", "multicast"),
    ("0xe0000001", "224.0.0.1", "multicast"),
    ("240.0.0.1", "240.0.0.1", "reserved"),
    ("255.255.255.254", "255.255.255.254", "reserved"),
    ("255.255.255.255", "255.255.255.255", "broadcast"),
    ("4294967295", "255.255.255.255", "broadcast"),
    ("0xffffffff", "255.255.255.255", "broadcast"),
    ("037777777777", "255.255.255.255", "broadcast"),
    ("ff02::1", "ff02::1", "multicast"),
    ("ff0e::1", "ff0e::1", "multicast"),
    ("ffff::1", "ffff::1", "multicast"),
    ("4000::1", "4000::1", "reserved"),
    ("1fff::1", "1fff::1", "reserved"),
    ("200::1", "200::1", "reserved"),
    ("e000::1", "e000::1", "reserved"),
    ("100:0:0:2::1", "100:0:0:2::1", "reserved"),
    ("64:ff9b:2::1", "64:ff9b:2::1", "reserved"),
    # IPv4 in an IPv6 wrapping: mapped, compatible, translated
    ("::ffff:127.0.0.1", "::ffff:7f00:1", "loopback, 127.0.0.1 inside"),
    ("::ffff:7f00:1", "::ffff:7f00:1", "loopback, 127.0.0.1 inside"),
    ("::FFFF:7F00:0001", "::ffff:7f00:1", "loopback, 127.0.0.1 inside"),
    ("[::ffff:127.0.0.1]", "::ffff:7f00:1", "loopback, 127.0.0.1 inside"),
    ("0:0:0:0:0:ffff:127.0.0.1", "::ffff:7f00:1", "loopback, 127.0.0.1 inside"),
    ("::ffff:0.0.0.0", "::ffff:0:0", "unspecified, 0.0.0.0 inside"),
    ("::ffff:10.0.0.1", "::ffff:a00:1", "private, 10.0.0.1 inside"),
    ("::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "cloud metadata, 169.254.169.254 inside"),
    ("::ffff:192.168.1.1", "::ffff:c0a8:101", "private, 192.168.1.1 inside"),
    ("::ffff:100.64.0.1", "::ffff:6440:1", "shared by a carrier, CGNAT, 100.64.0.1 inside"),
    ("::127.0.0.1", "::7f00:1", "IPv4-compatible"),
    ("::10.0.0.1", "::a00:1", "IPv4-compatible"),
    ("::8.8.8.8", "::808:808", "IPv4-compatible"),
    ("::2", "::2", "IPv4-compatible"),
    ("::ffff:0:127.0.0.1", "::ffff:0:7f00:1", "IPv4-translated"),
    ("::ffff:0:8.8.8.8", "::ffff:0:808:808", "IPv4-translated"),
    # NAT64
    ("64:ff9b::127.0.0.1", "64:ff9b::7f00:1", "loopback, 127.0.0.1 inside"),
    ("64:ff9b::7f00:1", "64:ff9b::7f00:1", "loopback, 127.0.0.1 inside"),
    ("64:ff9b::a9fe:a9fe", "64:ff9b::a9fe:a9fe", "cloud metadata, 169.254.169.254 inside"),
    ("64:ff9b::10.0.0.1", "64:ff9b::a00:1", "private, 10.0.0.1 inside"),
    ("64:ff9b::", "64:ff9b::", "unspecified, 0.0.0.0 inside"),
    ("64:ff9b:1::8.8.8.8", "64:ff9b:1::808:808", "NAT64 of a local network"),
    ("64:ff9b:1:ffff::10.0.0.1", "64:ff9b:1:ffff::a00:1", "NAT64 of a local network"),
    # 6to4 and Teredo
    ("2002:7f00:1::", "2002:7f00:1::", "6to4"),
    ("2002:a9fe:a9fe::1", "2002:a9fe:a9fe::1", "6to4"),
    ("2002:808:808::1", "2002:808:808::1", "6to4"),
    ("2002::", "2002::", "6to4"),
    ("2001::1", "2001::1", "Teredo"),
    ("2001:0:808:808:0:0:f5ff:fffe", "2001:0:808:808::f5ff:fffe", "Teredo"),
    ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "Teredo"),
]

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "134744072",
    "0x08.010.8.8",
    "8.8.2056",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.1",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.1",
    "192.0.3.0",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "203.0.112.255",
    "203.0.114.0",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "[2a00:1450:4001:81b::200e]",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2001:db7:ffff::1",
    "2001:db9::1",
    "2003::1",
    "2620:4f:8000::1",
    "3ffe::1",
    "::ffff:8.8.8.8",
    "64:ff9b::8.8.8.8",
]

NAMES = [
    "a.example",
    "a.example.",
    "localhost",
    "1.2.3.4.example",
    "127.0.0.1.nip.io",
    "1.2.3.4.5",
    "256.1.1.1",
    "1.256.1.1",
    "1.1.65536",
    "4294967296",
    "0x100000000",
    "127.0.0.0x100",
    "08.8.8.8",
    "0x7g.1",
    "1..2",
    ".1",
    "1_0.0.0.1",
    "+127.0.0.1",
    "-1",
    "",
    ".",
    "[]",
    "a:b",
    "::1::",
    "fe80::1%",
    "1" * 5000,
    "٣.٣.٣.٣",  # digits that no resolver reads
]


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
    with pytest.raises(Invalid, match=r"HOOKLINE_ALLOW_NETWORKS: expected a network such as 10\.2\.0\.0/16, got "):
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
