"""Looking at an Asterisk before it is connected: does it let us in, what may we hear, and what are its trunks called?

Nothing is changed there. What an account may not ask is told as unknown, and is no failure: listening needs none of it.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from re import compile as pattern
from typing import Final

from hookline.connectors.asterisk.framing import Message
from hookline.connectors.asterisk.link import PATIENCE_SECONDS, Link
from hookline.connectors.asterisk.login import action, answers
from hookline.connectors.asterisk.settings import AsteriskSettings
from hookline.ports.clock import Clock

#: Without the first no call is heard; without the second no message in a mailbox.
NEEDED: Final = ("call", "dialplan")
#: Endpoints that are asked for one by one.
_MOST_ENDPOINTS: Final = 100
#: The event that greets who logs in: Asterisk writes it without a time, whatever `timestampevents` says.
_GREETING: Final = "FullyBooted"
_ABOUT_US: Final = "manager show user "
#: Needs `write = system` only, where a command needs `write = command`.
_CONFIGURATION: Final = "manager.conf"
_LINE: Final = pattern(r"\s*read\s*=>?\s*(.+)")
_READ: Final = pattern(r"read perm:\s*(\S+)")
#: Contexts in which calls from outside arrive, by the names that most have.
_OUTSIDE: Final = pattern(r"(?i)trunk|pstn|from-did|inbound|incoming|external|public|carrier")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A phone, or a trunk."""

    name: str
    context: str  # "" when the account may not ask
    is_trunk: bool  # as it looks


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
        return [f"PJSIP/{each.name}-" for each in self.endpoints or () if each.is_trunk]

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
        asking = _Asking(link, clock)
        core = await asking.answer("CoreSettings")
        about_us = await asking.answer("Command", Command=_ABOUT_US + settings.username)
        reads = _classes(about_us)
        if reads is None and (settings.tls or settings.auth != "md5"):  # the answer holds the secret
            reads = _configured(await asking.answer("GetConfig", Filename=_CONFIGURATION, Category=settings.username))
        endpoints = await _endpoints(asking)
        return Seen(
            asterisk=core[0].get("AsteriskVersion") if core else "",
            ami=link.version,
            reads=reads,
            has_times=asking.has_times,
            endpoints=endpoints,
        )
    finally:
        link.close()


async def _endpoints(asking: "_Asking") -> tuple[Endpoint, ...] | None:
    listed = await asking.answer("PJSIPShowEndpoints", entry="EndpointList")
    if listed is None:
        return None
    found = []
    for each in listed[:_MOST_ENDPOINTS]:
        name = each.get("ObjectName")
        details = await asking.answer("PJSIPShowEndpoint", entry="EndpointDetail", Endpoint=name)
        context = details[0].get("Context") if details else ""
        is_trunk = bool(each.get("OutboundAuths") or _OUTSIDE.search(context))
        found.append(Endpoint(name=name, context=context, is_trunk=is_trunk))
    return tuple(found)


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


class _Asking:
    """Questions, one after another."""

    def __init__(self, link: Link, clock: Clock) -> None:
        self.has_times: bool | None = None
        self._link = link
        self._clock = clock

    async def answer(self, name: str, *, entry: str = "", **fields: str) -> list[Message] | None:
        """What it answers: the answer itself, or the entries of a list. None when the account may not ask.

        Raises:
            NoLink: it did not answer in time, or has gone.
        """
        self._link.say(action(name, **fields))
        alarm = self._clock.alarm(PATIENCE_SECONDS, lambda: self._link.end(f"Asterisk did not answer {name} in time."))
        entries: list[Message] = []
        try:
            while True:
                for message in await self._link.messages():
                    event = message.get("Event")
                    if event and not message.get("ActionID"):
                        if event != _GREETING:
                            self.has_times = bool(message.get("Timestamp"))
                    elif not answers(message, name) or not message.get("ActionID"):
                        continue
                    elif message.get("Response") == "Error":
                        return None
                    elif not entry:
                        return [message]
                    elif event == entry:
                        entries.append(message)
                    elif message.get("EventList") == "Complete":
                        return entries
        finally:
            alarm.cancel()
