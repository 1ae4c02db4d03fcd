"""Where deliveries may connect: which addresses are public, in every spelling and wrapping.

Pure: nothing here resolves a name. Names are resolved, and what they lead to is judged by this module, in
`adapters/address_guard.py`, at every new connection; what is plain to see is refused when a webhook is made.

`ipaddress.is_global` is not asked: its answer changed between patch releases of Python. The table is the IANA
Special-Purpose Address Registries for IPv4 and IPv6 (RFC 6890 and successors), with multicast (RFC 5771, RFC 4291),
reserved space, and the addresses at which clouds keep the secrets of their machines.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Final

from hookline.errors import Invalid

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: The first that matches gives the reason, so the narrow come before the wide.
_NOT_PUBLIC_V4: Final = tuple(
    (IPv4Network(cidr), reason)
    for cidr, reason in (
        ("0.0.0.0/32", "unspecified"),
        ("0.0.0.0/8", "this network"),
        ("10.0.0.0/8", "private"),
        ("100.100.100.200/32", "cloud metadata"),
        ("100.64.0.0/10", "shared by a carrier, CGNAT"),
        ("127.0.0.0/8", "loopback"),
        ("168.63.129.16/32", "cloud metadata"),
        ("169.254.169.254/32", "cloud metadata"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "for protocols"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("255.255.255.255/32", "broadcast"),
        ("240.0.0.0/4", "reserved"),
    )
)
_NOT_PUBLIC_V6: Final = tuple(
    (IPv6Network(cidr), reason)
    for cidr, reason in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::/96", "IPv4-compatible"),
        ("::ffff:0:0:0/96", "IPv4-translated"),
        ("64:ff9b:1::/48", "NAT64 of a local network"),
        ("100::/64", "discarded"),
        ("100:0:0:1::/64", "dummy"),
        ("2001::/32", "Teredo"),
        ("2001:2::/48", "benchmarking"),
        ("2001::/23", "for protocols"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("3fff::/20", "documentation"),
        ("5f00::/16", "segment routing"),
        ("fd00:ec2::254/128", "cloud metadata"),
        ("fc00::/7", "private, ULA"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    )
)
#: All of IPv6 that IANA has given out (RFC 4291, 2.4), and the prefix by which a NAT64 reaches public IPv4 (RFC 6052).
_GIVEN_OUT_V6: Final = (IPv6Network("2000::/3"), IPv6Network("64:ff9b::/96"))

#: The last 32 bits are an IPv4 address: compatible, mapped, translated, NAT64. Those of ISATAP are told by 32 others.
_CARRIES_V4_LAST: Final = tuple(
    IPv6Network(cidr) for cidr in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48")
)
#: RFC 5214, 6.1: 00-00-5E-FE or 02-00-5E-FE before the IPv4 address, behind any prefix.
_ISATAP: Final = (0x0000_5EFE, 0x0200_5EFE)
_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_UNSPECIFIED_OR_LOOPBACK: Final = IPv6Network("::/127")
_LOOPBACKS: Final = (IPv4Address("127.0.0.1"), IPv6Address("::1"))


class AllowedNetworks:
    """The networks that an operator opened although they are not public (`HOOKLINE_ALLOW_NETWORKS`)."""

    def __init__(self, cidrs: Iterable[str] = ()) -> None:
        """Read CIDRs such as `10.2.0.0/16`; a plain address is the network of that address alone.

        Raises:
            Invalid: one of them is no network.
        """
        self._networks = tuple(_parse_network(cidr) for cidr in cidrs)

    def reason(self, address: Address) -> str | None:
        """Why `address` may not be connected to, as a few words ("loopback"), or None when it may.

        An IPv6 address that carries IPv4 addresses is judged by them too: all must be public or allowed.
        """
        for layer in _layers(address):
            reason = _not_public(layer)
            if reason is not None and not self._allows(layer):
                return reason if layer == address else f"{reason}, {layer} inside"
        return None

    def refusal(self, address: Address) -> str | None:
        """A sentence why `address` may not be connected to, or None when it may."""
        reason = self.reason(address)
        if reason is None:
            return None
        return f"{address} is not public ({reason}), and HOOKLINE_ALLOW_NETWORKS does not allow it."

    def _allows(self, address: Address) -> bool:
        return any(address in network for network in self._networks if network.version == address.version)


def literal_address(host: str) -> Address | None:
    """The address that `host` spells, or None when it is a name.

    Whatever some resolver takes for an address is one: short, octal, hexadecimal and single-number IPv4 (inet_aton),
    brackets, zones, a dot at the end, full-width digits.
    """
    # Resolvers fold a name like this before they look at it (RFC 3490, 3.1).
    folded = unicodedata.normalize("NFKC", host).replace("\u3002", ".").strip().lower()
    bare = folded.removesuffix(".").removeprefix("[").removesuffix("]").removesuffix(".")
    if ":" not in bare:
        return _inet_aton(bare)
    try:
        return IPv6Address(bare.replace("%25", "%", 1))
    except ValueError:
        return None


def plainly_refused(host: str, allowed: AllowedNetworks) -> str | None:
    """A sentence why no delivery will ever reach `host`, as far as can be seen without resolving it, or None."""
    address = literal_address(host)
    if address is not None:
        return allowed.refusal(address)
    name = unicodedata.normalize("NFKC", host).replace("\u3002", ".").strip().lower().removesuffix(".")
    is_local = name == "localhost" or name.endswith(".localhost")
    if is_local and all(allowed.reason(loopback) for loopback in _LOOPBACKS):
        return f"{host} is this machine itself (loopback), and HOOKLINE_ALLOW_NETWORKS does not allow it."
    return None


def _parse_network(cidr: str) -> Network:
    try:
        network = ip_network(cidr.strip())
    except ValueError as error:
        raise Invalid(
            f"expected networks such as 127.0.0.0/8, with commas between, got {cidr[:60]!r}: {error}."
        ) from None
    return _unmapped(network)


def _unmapped(network: Network) -> Network:
    """`::ffff:127.0.0.0/104` means 127.0.0.0/8, and mapped addresses are judged as the IPv4 that they are."""
    if isinstance(network, IPv4Network) or not network.subnet_of(_MAPPED):
        return network
    return IPv4Network((int(network.network_address) & 0xFFFF_FFFF, network.prefixlen - _MAPPED.prefixlen))


def _layers(address: Address) -> Iterator[Address]:
    """What must be reachable for `address` to be: itself, unless it is IPv4 in a mere wrapping, and what it carries."""
    if isinstance(address, IPv4Address) or address.ipv4_mapped is None:
        yield address
    if isinstance(address, IPv6Address):
        yield from _carried(address)


def _carried(address: IPv6Address) -> Iterator[IPv4Address]:
    if address in _UNSPECIFIED_OR_LOOPBACK:
        return
    is_isatap = int(address) >> 32 & 0xFFFF_FFFF in _ISATAP
    if is_isatap or any(address in network for network in _CARRIES_V4_LAST):
        yield IPv4Address(int(address) & 0xFFFF_FFFF)
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo  # the server and the client behind it


def _not_public(address: Address) -> str | None:
    if isinstance(address, IPv4Address):
        return next((reason for network, reason in _NOT_PUBLIC_V4 if address in network), None)
    if address.scope_id is not None:
        return "valid on one link only"
    for network, reason in _NOT_PUBLIC_V6:
        if address in network:
            return reason
    return None if any(address in network for network in _GIVEN_OUT_V6) else "reserved"


#: inet_aton(3): the last part fills whatever room the parts before it leave.
_NUMBER: Final = re.compile(r"0x(?P<hexadecimal>[0-9a-f]*)|0(?P<octal>[0-7]*)|(?P<decimal>[1-9][0-9]*)", re.ASCII)
_LONGEST_NUMBER: Final = 40
_MOST_PARTS: Final = 4


def _inet_aton(text: str) -> IPv4Address | None:
    parts = text.split(".")
    if len(parts) > _MOST_PARTS:
        return None
    numbers = [number for part in parts if (number := _number(part)) is not None]
    if len(numbers) < len(parts):
        return None
    *bytes_before, rest = numbers
    room = 8 * (_MOST_PARTS - len(bytes_before))
    if any(byte >> 8 for byte in bytes_before) or rest >> room:
        return None
    return IPv4Address(int.from_bytes(bytes(bytes_before), "big") << room | rest)


def _number(text: str) -> int | None:
    match = _NUMBER.fullmatch(text) if len(text) <= _LONGEST_NUMBER else None
    if match is None:
        return None
    if match["decimal"] is not None:
        return int(match["decimal"])
    base, digits = (16, match["hexadecimal"]) if match["hexadecimal"] is not None else (8, match["octal"])
    return int(digits or "0", base)
