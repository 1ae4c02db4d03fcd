"""Looking at an Asterisk before it is connected: does it let us in, what may we hear, and what are its trunks called?

Nothing is changed there. What an account may not ask is told as unknown, and is no failure: listening needs none of it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from re import compile as pattern
from typing import Final

from hookline.connectors.asterisk.asking import Asking
from hookline.connectors.asterisk.endpoints import Endpoint, endpoints_of
from hookline.connectors.asterisk.framing import Message
from hookline.connectors.asterisk.link import Link
from hookline.connectors.asterisk.settings import AsteriskSettings
from hookline.ports.clock import Clock

#: Without the first no call is heard; without the second no message in a mailbox.
NEEDED: Final = ("call", "dialplan")
_ABOUT_US: Final = "manager show user "
#: Needs `write = system` only, where a command needs `write = command`.
_CONFIGURATION: Final = "manager.conf"
_LINE: Final = pattern(r"\s*read\s*=>?\s*(.+)")
_READ: Final = pattern(r"read perm:\s*(\S+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What an Asterisk lets us see."""

    asterisk: str  # its version; "" when the account may not ask
    ami: str  # the version of the manager interface
    reads: tuple[str, ...] | None  # classes of events that the account hears; None when it may not ask
    has_times: bool | None  # whether events bear their own time; None when none was heard
    endpoints: tuple[Endpoint, ...] | None  # None when the account may not ask

    @property
    def missing(self) -> tuple[str, ...]:
        """Classes that are needed and not heard."""
        if self.reads is None or "all" in self.reads:
            return ()
        return tuple(name for name in NEEDED if name not in self.reads)

    @property
    def trunk_prefixes(self) -> list[str]:
        """How channels of trunks begin, as it looks."""
        return list(dict.fromkeys(each.prefix for each in self.endpoints or () if each.is_trunk))

    @property
    def inbound_contexts(self) -> list[str]:
        """Contexts of trunks, the one with most of them first."""
        return _by_count([each.context for each in self.endpoints or () if each.is_trunk])

    @property
    def outbound_contexts(self) -> list[str]:
        """Contexts of phones, the one with most of them first."""
        return _by_count([each.context for each in self.endpoints or () if not each.is_trunk])


def _by_count(contexts: Sequence[str]) -> list[str]:
    return [context for context, _ in Counter(filter(None, contexts)).most_common()]


async def look(settings: AsteriskSettings, clock: Clock) -> Seen:
    """Log in, look around, and leave.

    Raises:
        NoLink: nobody is there, it does not speak as Asterisk does, or does not let us in.
    """
    link = await Link.opened(settings, clock)
    try:
        asking = Asking(link, clock)
        core = await asking.answer("CoreSettings")
        about_us = await asking.answer("Command", Command=_ABOUT_US + settings.username)
        reads = _classes(about_us)
        if reads is None and (settings.tls or settings.auth != "md5"):  # the answer holds the secret
            reads = _configured(await asking.answer("GetConfig", Filename=_CONFIGURATION, Category=settings.username))
        endpoints = await endpoints_of(asking)
        return Seen(
            asterisk=core[0].get("AsteriskVersion") if core else "",
            ami=link.version,
            reads=reads,
            has_times=asking.has_times,
            endpoints=endpoints,
        )
    finally:
        link.close()


def _classes(output: Sequence[Message] | None) -> tuple[str, ...] | None:
    """`manager show user` prints `read perm: call,dialplan`; `all` stands for each."""
    for message in output or ():
        for _, line in message.pairs():
            if found := _READ.search(line):
                return tuple(found[1].split(","))
    return None


def _configured(section: Sequence[Message] | None) -> tuple[str, ...] | None:
    """GetConfig gives lines of a section as `Line-000000-000003: read=call,dialplan`; the last `read` counts."""
    reads = None
    for message in section or ():
        for key, line in message.pairs():
            if key.startswith("Line-") and (found := _LINE.fullmatch(line)):
                reads = tuple(name.strip() for name in found[1].split(","))
    return reads
