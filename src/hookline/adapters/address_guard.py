"""The guard at the door to the network: a name goes in, addresses that may be connected to come out.

No answer is kept: a name that led somewhere public a moment ago may lead inside now. Callers connect to what they are
given and to nothing else, and ask again for every new connection. Which addresses are fine: `domain/networks.py`.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from ipaddress import ip_address
from typing import Final

from hookline.domain.networks import Address, AllowedNetworks, literal_address

#: (name, port) -> its addresses, best first. Raises OSError, or ValueError for what can be no name.
Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]


class NowhereToConnect(Exception):
    """No address that may be connected to. Its text is a sentence for people."""


#: A resolver that does not answer holds its thread for 10 s and more. Event loops bring few threads of their own for it
#: (uvloop two), so that two dead names would keep all others from being found.
_THREADS: Final = ThreadPoolExecutor(max_workers=64, thread_name_prefix="name-lookup")


async def resolve(name: str, port: int) -> Sequence[Address]:
    """Ask the machine's resolver, in its order of preference (RFC 6724)."""
    ask = partial(socket.getaddrinfo, name, port, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(_THREADS, ask)
    return list(dict.fromkeys(ip_address(place[0]) for *_, place in found))


class AddressGuard:
    """Lets through only addresses that are public or allowed."""

    def __init__(self, allowed: AllowedNetworks, resolve: Resolve = resolve) -> None:
        """Judge by `allowed` what `resolve` finds."""
        self._allowed = allowed
        self._resolve = resolve
        self._lookups: dict[tuple[str, int], asyncio.Future[Sequence[Address]]] = {}

    async def vetted(self, host: str, port: int) -> Sequence[Address]:
        """The addresses that `host` has right now and that may be connected to: at least one, best first.

        Raises:
            NowhereToConnect: no such name, no address, or none that may be connected to.
        """
        literal = literal_address(host)
        found = [literal] if literal is not None else await self._look_up(host, port)
        if not found:
            raise NowhereToConnect(f"The name {host} has no address.")
        fine = [address for address in found if self._allowed.reason(address) is None]
        if not fine:
            raise NowhereToConnect(self._refusal(host, found[0]))
        return fine

    async def _look_up(self, name: str, port: int) -> Sequence[Address]:
        try:
            return await asyncio.shield(self._lookup(name, port))
        except socket.gaierror as error:
            if error.errno in (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)):
                return []
            raise NowhereToConnect(f"The name {name} could not be resolved: {_lower(error.strerror)}.") from error
        except OSError as error:
            reason = os.strerror(error.errno) if error.errno else str(error)
            raise NowhereToConnect(f"The name {name} could not be resolved: {_lower(reason)}.") from error
        except ValueError as error:
            raise NowhereToConnect(f"{name[:80]!r} can be no name of a host.") from error

    def _lookup(self, name: str, port: int) -> asyncio.Future[Sequence[Address]]:
        """The lookup that is under way, else a new one: a name that hangs shall not hold many threads."""
        lookup = self._lookups.get((name, port))
        if lookup is None:
            lookup = self._lookups[name, port] = asyncio.ensure_future(self._resolve(name, port))
            lookup.add_done_callback(lambda _: self._lookups.pop((name, port)))
        return lookup

    def _refusal(self, host: str, address: Address) -> str:
        if literal_address(host) == address:
            return str(self._allowed.refusal(address))
        reason = self._allowed.reason(address)
        return f"{host} leads to {address} ({reason}), which HOOKLINE_ALLOW_NETWORKS does not allow."


def _lower(reason: str | None) -> str:
    text = reason or "no reason given"
    return text[:1].lower() + text[1:]
