"""The phones and trunks of an Asterisk, by each of its channel drivers: chan_pjsip, chan_sip, chan_iax2, chan_dahdi.

Which of them are trunks is a guess, for people to check: Asterisk does not tell the one from the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from re import compile as pattern
from typing import Final

from hookline.connectors.asterisk.asking import Asking
from hookline.connectors.asterisk.framing import Message

#: Endpoints of one driver that are asked for one by one.
_MOST_ASKED: Final = 100
#: Contexts in which calls from outside arrive, by the names that most have.
_OUTSIDE: Final = pattern(r"(?i)trunk|pstn|from-did|inbound|incoming|external|public|carrier")
#: Signalling of DAHDI channels that lead to a carrier: ISDN, SS7 and R2 lines, and ports for an outside line. A port
#: for a line is signalled as a phone is (FXS), and a port for a phone as a line is (FXO).
_TRUNK_SIGNALLING: Final = pattern(r"(?i)(FXS|ISDN|PRI|BRI|SS7|MFC/R2)")
_ISDN: Final = pattern(r"(?i)ISDN|PRI|BRI")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A phone, or a trunk."""

    technology: str  # `PJSIP`, `SIP`, `IAX2` or `DAHDI`
    name: str
    context: str  # "" when it is not told, or the account may not ask
    is_trunk: bool  # as it looks
    prefix: str  # how its channels begin


async def endpoints_of(asking: Asking) -> tuple[Endpoint, ...] | None:
    """All endpoints; None when none of the drivers answers: the account may not ask."""
    by_driver = [await driver(asking) for driver in (_pjsip, _chan_sip, _iax2, _dahdi)]
    if all(found is None for found in by_driver):
        return None
    return tuple(endpoint for found in by_driver for endpoint in found or ())


async def _pjsip(asking: Asking) -> Sequence[Endpoint] | None:
    listed = await asking.answer("PJSIPShowEndpoints", entry="EndpointList")
    if listed is None:
        return None
    found = []
    for each in listed[:_MOST_ASKED]:
        name = each.get("ObjectName")
        details = await asking.answer("PJSIPShowEndpoint", entry="EndpointDetail", Endpoint=name)
        context = details[0].get("Context") if details else ""
        found.append(_endpoint("PJSIP", name, context, looks_so=bool(each.get("OutboundAuths"))))
    return found


async def _chan_sip(asking: Asking) -> Sequence[Endpoint] | None:
    """A peer with a host of its own is a trunk; a phone registers itself (`host=dynamic`)."""
    listed = await asking.answer("SIPpeers", entry="PeerEntry")
    if listed is None:
        return None
    found = []
    for each in listed[:_MOST_ASKED]:
        name = each.get("ObjectName")
        details = await asking.answer("SIPshowpeer", Peer=name)
        found.append(_endpoint("SIP", name, details[0].get("Context") if details else "", looks_so=_has_host(each)))
    return found


async def _iax2(asking: Asking) -> Sequence[Endpoint] | None:
    """As with chan_sip; contexts are not told."""
    listed = await asking.answer("IAXpeerlist", entry="PeerEntry")
    if listed is None:
        return None
    return [_endpoint("IAX2", each.get("ObjectName"), "", looks_so=_has_host(each)) for each in listed]


async def _dahdi(asking: Asking) -> Sequence[Endpoint] | None:
    """Channels of ISDN lines are named by their span (`DAHDI/i1/...`), the others by their number (`DAHDI/1-1`)."""
    listed = await asking.answer("DAHDIShowChannels", entry="DAHDIShowChannels")
    if listed is None:
        return None
    found = []
    for each in listed:
        name, signalling = each.get("DAHDIChannel"), each.get("Signalling")
        endpoint = Endpoint(
            technology="DAHDI",
            name=name,
            context=each.get("Context"),
            is_trunk=_TRUNK_SIGNALLING.match(signalling) is not None,
            prefix="DAHDI/i" if _ISDN.match(signalling) else f"DAHDI/{name}-",
        )
        found.append(endpoint)
    return found


def _has_host(peer: Message) -> bool:
    return peer.get("Dynamic").lower() == "no"


def _endpoint(technology: str, name: str, context: str, *, looks_so: bool) -> Endpoint:
    is_trunk = looks_so or _OUTSIDE.search(context) is not None
    return Endpoint(
        technology=technology, name=name, context=context, is_trunk=is_trunk, prefix=f"{technology}/{name}-"
    )
