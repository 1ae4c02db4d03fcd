"""FreeSWITCH's words become ours: what is told of one leg, when it is over, to facts about it and those beside it.

A record tells what happened to its own leg. It also names the leg for which that one was called, those that were called
for it, and those with which it was bridged. What it says about them is hearsay: it keeps the call open until their own
records come, and it counts when none come, since not every FreeSWITCH tells of legs that were called (`log-b-leg`).

A leg is with a person when it is bridged, or with others in a conference; never when it is answered: menus, queues and
mailboxes answer. Which legs are one call: `names.py`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from re import compile as pattern
from typing import Final

from hookline.connectors.freeswitch import causes
from hookline.connectors.freeswitch.body import Profile, Record
from hookline.connectors.freeswitch.names import caller_of
from hookline.connectors.freeswitch.settings import FreeSwitchSettings
from hookline.domain.legs import (
    MAX_QUEUE_NAME,
    Answered,
    Dialled,
    Fact,
    Forwarded,
    GivenUp,
    HungUp,
    Joined,
    Left,
    LegStarted,
    MessageLeft,
    QueueJoined,
    QueueLeft,
    Rang,
    RecordingStarted,
    RecordingStopped,
    Side,
    Wired,
)
from hookline.domain.numbers import is_withheld
from hookline.domain.withheld import is_withheld_host, is_withheld_word

#: Channels behind which nobody sits.
_MACHINES: Final = frozenset({"loopback", "null", "conference"})
_HIDING: Final = frozenset({"true", "yes", "full", "number", "hide_number"})
#: Values of the header Privacy that say that the caller is not to be told. RFC 3323 section 4.2, RFC 3325 section 9.3.
_PRIVATE: Final = frozenset({"id", "user", "header", "critical"})
#: Of the header Remote-Party-ID (draft-ietf-sip-privacy).
_PRIVATE_PARTY: Final = pattern(r";\s*privacy=\"?(full|yes|uri|number)\b")
#: sofia/internal/1003@203.0.113.7:5060
_USER: Final = pattern(r"^[^/]+/[^/]+/(?:sip:)?([^@/;]+)")
_BETWEEN: Final = pattern(r",|\||:_:")
_LAST_STATUS: Final = "last_bridge_proto_specific_hangup_cause"
_MESSAGES: Final = ("voicemail_message_len", "voicemail_message_seconds")
_TICK: Final = timedelta(microseconds=1)


def facts(record: Record, settings: FreeSwitchSettings) -> tuple[Fact, ...]:
    """All that is told."""
    return tuple(_Telling(record, settings).facts())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bridging:
    """A time in which the leg was bridged."""

    partner: str
    channel: str  # of the partner; "" when it is not known
    is_called: bool  # FreeSWITCH says that the partner was called, or fetched, for this leg
    at: datetime
    until: datetime | None  # when the leg was transferred from there; None: it stayed until it hung up


@dataclass(frozen=True, slots=True, kw_only=True)
class _Called:
    """A leg that was called for this one, as this one knows it."""

    uuid: str
    channel: str = ""  # "" when it is not known
    number: str = ""
    shows: str = ""
    listed_at: datetime | None = None  # when the time began in which it is listed


class _Telling:
    """One leg's record, being told."""

    def __init__(self, record: Record, settings: FreeSwitchSettings) -> None:
        self._record = record
        self._settings = settings
        self._leg = record.uuid
        self._came_in = record.get("direction") == "inbound"
        self._bond = record.get("signal_bond")
        self._applications = record.applications

    def facts(self) -> Iterator[Fact]:
        yield from self._itself()
        yield from self._what_happened()
        yield from self._queues()
        yield from self._talks()
        yield from self._recordings()
        yield from self._end()
        if self._caller:
            yield self._started_caller()
        yield from self._who_was_called()
        yield from self._other_partners()

    # The leg itself

    def _itself(self) -> Iterator[Fact]:
        record, side = self._record, self._side
        first = record.first
        yield LegStarted(
            leg=self._leg,
            at=record.began_at,
            side=side,
            places=self._came_in,
            dialled=first.destination,
            shows="" if self._is_hidden() else _number(first.caller),
            identity="" if side is Side.OUTSIDE else self._identity(),
            called_for=self._caller,
        )
        if other := record.get("other_loopback_leg_uuid"):
            yield Wired(leg=self._leg, at=record.began_at, to=other)

    @cached_property
    def _caller(self) -> str:
        """The leg for which this one was called."""
        if self._came_in and not self._record.get("other_loopback_from_uuid"):
            return ""  # bridged with others at times, and called for none
        others = [] if self._came_in else [other.uuid for other in self._record.first.originators]
        named = caller_of(self._record.variables, self._leg)
        return named or next((other for other in others if other not in ("", self._leg)), "")

    @cached_property
    def _side(self) -> Side:
        record, first = self._record, self._record.first
        if self._came_in:
            return self._side_of_caller(first)
        if record.get("sip_gateway_name") or record.get("sip_gateway") or record.get("sip_profile_name") == "gateway":
            return Side.OUTSIDE
        return self._side_of_channel(first.channel or record.get("channel_name"))

    def _side_of_caller(self, profile: Profile) -> Side:
        """The context counts, and where it tells nothing the channel does."""
        side = self._side_of_channel(profile.channel or self._record.get("channel_name"))
        if side is Side.NOBODY:
            return side
        if profile.context in self._settings.inbound_contexts:
            return Side.OUTSIDE
        return Side.OURS if profile.context in self._settings.outbound_contexts else side

    def _side_of_channel(self, channel: str) -> Side:
        if channel.partition("/")[0] in _MACHINES:
            return Side.NOBODY
        is_trunk = channel.startswith((*self._settings.trunk_channel_prefixes, "sofia/gateway/"))
        return Side.OUTSIDE if is_trunk else Side.OURS

    def _identity(self) -> str:
        """The extension of a phone of ours."""
        record = self._record
        names: tuple[str, ...] = ("dialed_user", "presence_id")
        if self._came_in:
            names = ("user_name", "sip_auth_username")
        elif record.get("originated_legs"):  # it called somebody since, which sets `dialed_user` anew
            names = ("presence_id",)
        known = next(filter(None, map(record.get, names)), "").partition("@")[0]
        channel = record.first.channel or record.get("channel_name")
        return known or (record.first.username if self._came_in else "") or _user(channel)

    def _is_hidden(self) -> bool:
        names = ("privacy_hide_number", "sip_privacy", "origination_privacy")
        if any(self._record.get(name).lower() in _HIDING for name in names):
            return True
        return self._came_in and self._is_private()

    def _is_private(self) -> bool:
        """Whether who calls asks not to be told, although the carrier says who it is."""
        record = self._record
        asked = {each.strip().lower() for each in record.get("sip_Privacy").split(";")}
        user, host = record.get("sip_from_user"), record.get("sip_from_host")
        is_nobody = bool(user) and (is_withheld_word(user) or is_withheld_host(host))
        party = record.get("sip_Remote-Party-ID").lower()
        return bool(asked & _PRIVATE) or is_nobody or _PRIVATE_PARTY.search(party) is not None

    def _what_happened(self) -> Iterator[Fact]:
        record = self._record
        for name in ("progress_time", "progress_media_time"):
            if at := record.time(name):
                yield Rang(leg=self._leg, at=at)
        if at := record.time("answered_time"):
            yield Answered(leg=self._leg, at=at)
        if record.get("originate_disposition"):
            yield Dialled(leg=self._leg, at=record.ended_at)
        if record.get("sip_redirected_to"):
            yield Forwarded(leg=self._leg, at=record.began_at)
        if any(_is_some(record.get(name)) for name in _MESSAGES):
            yield MessageLeft(leg=self._leg, at=record.ended_at)

    def _queues(self) -> Iterator[Fact]:
        """When the caller waited in a queue of mod_callcenter: the last one, in whole seconds."""
        record = self._record
        joined_at, queue = record.epoch("cc_queue_joined"), record.get("cc_queue")[:MAX_QUEUE_NAME]
        if record.get("cc_side") != "member" or not queue or joined_at is None:
            return
        yield QueueJoined(leg=self._leg, at=max(joined_at, record.began_at), queue=queue)
        left = (record.epoch(f"cc_queue_{how}") for how in ("answered", "canceled", "terminated"))
        if left_at := next(filter(None, left), None):
            yield QueueLeft(leg=self._leg, at=max(left_at, record.began_at), queue=queue)

    def _talks(self) -> Iterator[Fact]:
        for each in self._bridgings:
            bridge = _bridge(self._leg, each.partner)
            yield Joined(leg=self._leg, at=each.at, bridge=bridge)
            if each.partner:
                yield Joined(leg=each.partner, at=each.at, bridge=bridge)
            if each.until is not None:
                yield Left(leg=self._leg, at=each.until, bridge=bridge)
        if conference := self._record.get("conference_uuid"):
            yield Joined(leg=self._leg, at=self._conference_at, bridge=conference)

    @cached_property
    def _bridgings(self) -> Sequence[_Bridging]:
        return tuple(self._each_bridging())

    def _each_bridging(self) -> Iterator[_Bridging]:
        record = self._record
        for profile in record.profiles:
            at = profile.time("bridged_time")
            if at is None:
                continue
            others = {other.uuid: other for other in (*profile.originators, *profile.originatees) if other.uuid}
            called = {other.uuid for other in profile.originatees}
            partner = next((other.uuid for other in (*profile.originatees, *profile.originators) if other.uuid), "")
            channel = ""
            if profile is record.last:
                partner = record.get("last_bridge_to") or record.get("bridge_uuid") or partner
                channel = record.get("bridge_channel")
            known = others.get(partner)
            yield _Bridging(
                partner=partner,
                channel=known.channel if known is not None and known.channel else channel,
                is_called=partner in called,
                at=at,
                until=profile.time("transfer_time"),
            )

    @property
    def _conference_at(self) -> datetime:
        entered = [at for name, _, at in self._applications if name == "conference" and at is not None]
        return min(entered, default=None) or self._record.time("answered_time") or self._record.began_at

    def _recordings(self) -> Iterator[Fact]:
        record = self._record
        for name, _, at in self._applications:
            if name == "record_session":
                yield RecordingStarted(leg=self._leg, at=at or record.began_at)
            elif name == "stop_record_session" and at is not None:
                yield RecordingStopped(leg=self._leg, at=at)
        if record.get("conference_recording"):  # of a conference that records itself
            yield RecordingStarted(leg=self._leg, at=self._conference_at)

    def _end(self) -> Iterator[Fact]:
        record = self._record
        cause = record.get("hangup_cause")
        if cause in causes.GIVEN_UP and not self._came_in:
            yield GivenUp(leg=self._leg, at=record.ended_at)
        yield HungUp(
            leg=self._leg,
            at=record.ended_at,
            sip=causes.sip(record.get("sip_term_status"), record.get("sip_invite_failure_status")),
            q850=causes.q850(cause, record.get("hangup_cause_q850")),
        )

    # The leg for which it was called. It may go on when this one ends, so nothing is said of its end

    def _started_caller(self) -> Fact:
        others = (other for profile in self._record.profiles for other in profile.originators)
        known = next((other for other in others if other.uuid == self._caller), None)
        side = self._side_of_caller(known) if known is not None else Side.OUTSIDE
        is_ours = known is not None and side is Side.OURS
        return LegStarted(
            leg=self._caller,
            at=self._record.began_at,
            side=side,
            places=True,
            dialled=known.destination if known is not None and is_ours else "",  # may be one of ours by now
            shows=_number(known.caller) if known is not None else "",
            identity=(known.username or _user(known.channel)) if known is not None and is_ours else "",
            is_hearsay=True,
        )

    # Those that were called for it

    def _who_was_called(self) -> Iterator[Fact]:
        reasons = dict(_pairs(self._record.all("originate_causes")))
        bridged = {each.partner: each for each in self._bridgings}
        legs = list(self._called.values())
        for leg in legs:
            bridging = bridged.get(leg.uuid)
            status = "" if bridging is not None or leg is not legs[-1] else self._record.get(_LAST_STATUS)
            at = self._called_at(leg, bridging)
            yield self._started(leg.uuid, self._side_of_called(leg), at, leg)
            if bridging is None:
                yield from self._rang(leg.uuid, at)
                yield from self._ended(leg.uuid, self._record.ended_at, reasons.get(leg.uuid, ""), status)
            elif (ended_at := self._end_of(leg, bridging)) is not None:
                yield from self._ended(leg.uuid, ended_at, self._record.get("bridge_hangup_cause"))

    @cached_property
    def _called(self) -> Mapping[str, _Called]:
        """All that were called, each once, the earliest first, and of each what is known best."""
        record = self._record
        known: dict[str, _Called] = {}
        for entry in record.all("originated_legs"):
            uuid, _, rest = entry.partition(";")
            if uuid not in ("", self._leg, self._caller):
                known[uuid] = _Called(uuid=uuid, number=rest.rpartition(";")[2], shows=self._shown_outside())
        for profile in record.profiles:
            for other in profile.originatees:
                if other.uuid in known:
                    known[other.uuid] = _Called(
                        uuid=other.uuid,
                        channel=other.channel,
                        number=other.destination,
                        shows=other.caller,
                        listed_at=known[other.uuid].listed_at or profile.time("profile_created_time"),
                    )
        for each in self._bridgings:
            if (it := known.get(each.partner)) is not None:
                known[it.uuid] = replace(it, channel=it.channel or each.channel)
        return known

    def _started(self, leg: str, side: Side, at: datetime, called: _Called) -> Fact:
        return LegStarted(
            leg=leg,
            at=at,
            side=side,
            places=False,
            dialled=called.number,
            shows=_number(called.shows),
            identity="" if side is Side.OUTSIDE else _user(called.channel) or called.number,
            called_for=self._leg,
            is_hearsay=True,
        )

    def _called_at(self, leg: _Called, bridging: _Bridging | None) -> datetime:
        """When it was called: as it was dialled, or when the time began in which it is listed."""
        began_at, last = self._record.began_at, bridging.at if bridging is not None else self._record.ended_at
        bridges = [
            at
            for name, data, at in self._applications
            if name == "bridge" and at is not None and leg.number and leg.number in data
        ]
        known = [at for at in (*bridges, leg.listed_at) if at is not None and began_at <= at <= last]
        return max(known, default=began_at)

    def _rang(self, leg: str, called_at: datetime) -> Iterator[Fact]:
        if at := self._record.time("progress_time") or self._record.time("progress_media_time"):
            yield Rang(leg=leg, at=max(at, called_at))

    def _end_of(self, leg: _Called, bridging: _Bridging) -> datetime | None:
        """When a leg ended that was bridged; None when it went on without this one: its own record tells."""
        is_last = bridging is self._bridgings[-1]
        if is_last and bridging.until is None:
            return self._record.ended_at if self._ended_together(leg.uuid) else None
        if self._settings.log_b_leg and self._side_of_called(leg) is Side.OUTSIDE:
            return None
        return bridging.until or self._record.ended_at

    def _ended_together(self, partner: str) -> bool:
        """Whether the leg and its partner were still bridged when the first of them hung up."""
        record = self._record
        names = ("hangup_cause", "bridge_hangup_cause", "last_bridge_hangup_cause", "endpoint_disposition")
        if any(record.get(name) in causes.TRANSFERS for name in names):
            return False
        return self._bond == partner or (not self._bond and bool(record.get("bridge_hangup_cause")))

    def _ended(self, leg: str, at: datetime, cause: str, status: str = "") -> Iterator[Fact]:
        if cause in causes.GIVEN_UP:
            yield GivenUp(leg=leg, at=at)
        yield HungUp(leg=leg, at=at, sip=causes.sip(status), q850=causes.q850(cause), is_hearsay=True)

    def _shown_outside(self) -> str:
        names = ("origination_caller_id_number", "effective_caller_id_number", "outbound_caller_id_number")
        return next(filter(None, map(self._record.get, names)), self._record.last.caller)

    def _side_of_called(self, leg: _Called) -> Side:
        """Of a leg whose channel nobody tells: as it was dialled."""
        return self._side_of_channel(leg.channel or self._dial_string(leg.number))

    def _dial_string(self, number: str) -> str:
        """What a bridge was asked to call that has this number in it, without the variables before it."""
        strings = [data for name, data, _ in self._applications if name == "bridge"]
        ways = [_bare(way) for data in reversed(strings) for way in _BETWEEN.split(_bare(data))]
        return next((way for way in ways if number and number in way), ways[0] if len(ways) == 1 else "")

    # Others with which it was bridged: who picked the call up, or an agent of a queue

    def _other_partners(self) -> Iterator[Fact]:
        for each in self._bridgings:
            if each.partner in ("", self._caller, self._leg) or each.partner in self._called:
                continue
            side = self._side_of_channel(each.channel)
            yield LegStarted(
                leg=each.partner,
                at=each.at,
                side=side,
                places=not each.is_called or side is Side.OUTSIDE,
                identity=_user(each.channel) if side is Side.OURS else "",
                is_hearsay=True,
            )
            if each.until is None and self._ended_together(each.partner):
                yield from self._ended(each.partner, self._record.ended_at, "")


def _bridge(leg: str, partner: str) -> str:
    """The name of a bridge, the same in the records of both its legs."""
    return "+".join(sorted(each[:120] for each in (leg, partner) if each))


def _bare(way: str) -> str:
    """sofia/gateway/... of {a=b}[c=d]sofia/gateway/..."""
    text = way.strip()
    while text[:1] in ("{", "[", "<"):
        _, _, text = text.partition({"{": "}", "[": "]", "<": ">"}[text[0]])
    return text


def _pairs(entries: Sequence[str]) -> Iterator[tuple[str, str]]:
    for entry in entries:
        uuid, _, reason = entry.partition(";")
        yield uuid, reason


def _user(channel: str) -> str:
    found = _USER.match(channel)
    return found[1] if found else ""


def _number(spelling: str) -> str:
    return "" if is_withheld(spelling) else spelling


def _is_some(length: str) -> bool:
    """Whether a length is one: seconds, or 00:00:09."""
    digits = length.replace(":", "")
    return digits.isascii() and digits.isdigit() and digits.strip("0") != ""
