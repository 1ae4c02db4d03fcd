"""FreeSWITCH's words become ours: what is told of one leg, when it is over, to facts about it and those beside it.

Each leg names the one for which it was called, so that a leg that is told before that one keeps the call open; and it
names those that were called for it, since not every FreeSWITCH tells of them (`log-b-leg`). What is said about others
is said with later instants than they would say themselves, so that their own words count when they come.

A leg is with a person when it is bridged, never when it is answered: menus, queues and mailboxes answer. All who are
bridged in one call are taken to be in one bridge.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from re import compile as pattern
from typing import Final

from hookline.connectors.freeswitch import causes
from hookline.connectors.freeswitch.body import Profile, Record
from hookline.connectors.freeswitch.settings import FreeSwitchSettings
from hookline.domain.legs import (
    Answered,
    Dialled,
    Fact,
    Forwarded,
    GivenUp,
    HungUp,
    Joined,
    LegStarted,
    MessageLeft,
    Rang,
    RecordingStarted,
    RecordingStopped,
    Side,
    Wired,
)
from hookline.domain.numbers import is_withheld

#: Channels behind which nobody sits.
_MACHINES: Final = frozenset({"loopback", "null", "conference"})
_HIDING: Final = frozenset({"true", "yes", "full", "number"})
#: sofia/internal/1003@203.0.113.7:5060
_USER: Final = pattern(r"^[^/]+/[^/]+/(?:sip:)?([^@/;]+)")
_BETWEEN: Final = pattern(r",|\||:_:")
_TICK: Final = timedelta(microseconds=1)
#: Variables that name the leg for which another one was called, the surest first.
_ROOTS: Final = (
    "cc_member_session_uuid",  # an agent of a queue is called for nobody, and bridged with the caller then
    "other_loopback_from_uuid",
    "loopback_from_uuid",
    "call_uuid",
    "originating_leg_uuid",
    "originator",
)
_LAST_STATUS: Final = "last_bridge_proto_specific_hangup_cause"
_MESSAGES: Final = ("voicemail_message_len", "voicemail_message_seconds")


def root_of(variables: Mapping[str, str], uuid: str) -> str:
    """The leg with which the call of this leg began, as far as its variables tell; itself when it was that."""
    named = (variables.get(name, "") for name in _ROOTS)
    return next((root for root in named if root not in ("", uuid)), uuid)


def call_key(record: Record) -> str:
    """The leg with which the call began: so the call is called."""
    root = root_of(record.variables, record.uuid)
    if record.get("direction") == "inbound":  # one that came in is bridged with others at times, and called for none
        return root
    others = [other.uuid for profile in record.profiles for other in profile.originators if other.uuid]
    return others[0] if root == record.uuid and others else root


def facts(record: Record, settings: FreeSwitchSettings) -> tuple[Fact, ...]:
    """All that is told."""
    return tuple(_Telling(record, settings).facts())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Called:
    """A leg that was called for another one, as that one knows it."""

    uuid: str
    channel: str = ""  # "" when it is not known
    number: str = ""
    shows: str = ""


class _Telling:
    """One leg's record, being told."""

    def __init__(self, record: Record, settings: FreeSwitchSettings) -> None:
        self._record = record
        self._settings = settings
        self._leg = record.uuid
        self._key = call_key(record)
        self._places = record.get("direction") == "inbound"
        self._bridged_at = [at for profile in record.profiles if (at := profile.time("bridged_time"))]

    def facts(self) -> Iterator[Fact]:
        yield from self._itself()
        yield from self._what_happened()
        yield from self._applications()
        yield from self._end()
        if self._key != self._leg:
            yield from self._for_whom()
        yield from self._who_was_called()

    # The leg itself

    def _itself(self) -> Iterator[Fact]:
        record, side = self._record, self._side()
        first = record.first
        shown = "" if self._is_hidden() else _number(first.caller)
        yield LegStarted(
            leg=self._leg,
            at=record.began_at,
            side=side,
            places=self._places,
            dialled=first.destination,
            shows=shown,
            identity="" if side is Side.OUTSIDE else self._identity(),
        )
        if other := record.get("other_loopback_leg_uuid"):
            yield Wired(leg=self._leg, at=record.began_at, to=other)

    def _side(self) -> Side:
        record, first = self._record, self._record.first
        if self._places:
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
        names = ("user_name", "sip_auth_username") if self._places else ("dialed_user",)
        known = next(filter(None, map(record.get, names)), "")
        channel = record.first.channel or record.get("channel_name")
        return known or (record.first.username if self._places else "") or _user(channel)

    def _is_hidden(self) -> bool:
        names = ("privacy_hide_number", "sip_privacy", "origination_privacy")
        return any(self._record.get(name).lower() in _HIDING for name in names)

    def _what_happened(self) -> Iterator[Fact]:
        record = self._record
        for name in ("progress_time", "progress_media_time"):
            if at := record.time(name):
                yield Rang(leg=self._leg, at=at)
        if at := record.time("answered_time"):
            yield Answered(leg=self._leg, at=at)
        for at in self._bridged_at:
            yield Joined(leg=self._leg, at=at, bridge=self._key)
        if record.get("originate_disposition"):
            yield Dialled(leg=self._leg, at=record.ended_at)
        if record.get("sip_redirected_to"):
            yield Forwarded(leg=self._leg, at=record.began_at)
        if any(_is_some(record.get(name)) for name in _MESSAGES):
            yield MessageLeft(leg=self._leg, at=record.ended_at)

    def _applications(self) -> Iterator[Fact]:
        for name, _, at in self._record.applications:
            if name == "record_session":
                yield RecordingStarted(leg=self._leg, at=at or self._record.began_at)
            elif name == "stop_record_session" and at is not None:
                yield RecordingStopped(leg=self._leg, at=at)

    def _end(self) -> Iterator[Fact]:
        record = self._record
        cause = record.get("hangup_cause")
        if cause in causes.GIVEN_UP and not self._places:
            yield GivenUp(leg=self._leg, at=record.ended_at)
        yield HungUp(
            leg=self._leg,
            at=record.ended_at,
            sip=causes.sip(record.get("sip_term_status"), record.get("sip_invite_failure_status")),
            q850=causes.q850(cause, record.get("hangup_cause_q850")),
        )

    # The leg for which it was called, whose own record is still to come

    def _for_whom(self) -> Iterator[Fact]:
        """It began before this one did, so that what it says itself comes first."""
        known = next((other for each in self._record.profiles for other in each.originators), None)
        yield self._caller(known if known is not None and known.uuid == self._key else None)
        for at in self._bridged_at:
            yield Joined(leg=self._key, at=at, bridge=self._key)

    def _caller(self, known: Profile | None) -> Fact:
        side = self._side_of_caller(known) if known is not None else Side.OUTSIDE
        is_ours = known is not None and side is Side.OURS
        return LegStarted(
            leg=self._key,
            at=self._record.began_at + _TICK,
            side=side,
            places=True,
            dialled=known.destination if known is not None and is_ours else "",  # may be one of ours by now
            shows=_number(known.caller) if known is not None else "",
            identity=(known.username or _user(known.channel)) if known is not None and is_ours else "",
        )

    # Those that were called for it, which may have none

    def _who_was_called(self) -> Iterator[Fact]:
        record = self._record
        reasons = dict(_pairs(record.all("originate_causes")))
        partner = record.get("last_bridge_to") or record.get("bridge_uuid")
        legs = [leg for leg in self._called() if leg.uuid not in ("", self._leg, self._key)]
        for place, leg in enumerate(legs):
            took_it = leg.uuid == partner or (leg.channel != "" and reasons.get(leg.uuid, "NONE") == "NONE")
            is_bridged = took_it and bool(self._bridged_at)
            status = "" if is_bridged or place + 1 < len(legs) else record.get(_LAST_STATUS)
            yield from self._one_called(leg, place, is_bridged=is_bridged)
            if not (is_bridged and self._settings.log_b_leg and self._went_on()):
                cause = record.get("bridge_hangup_cause") if is_bridged else reasons.get(leg.uuid, "")
                yield from self._called_end(leg, cause, status)

    def _one_called(self, leg: _Called, place: int, *, is_bridged: bool) -> Iterator[Fact]:
        record = self._record
        side = self._side_of_called(leg)
        began_at = self._bridged_at[0] if is_bridged else record.ended_at
        rang_at = record.time("progress_time") or record.time("progress_media_time")
        yield LegStarted(
            leg=leg.uuid,
            at=min(began_at, rang_at or began_at) + (place + 1) * _TICK,
            side=side,
            places=False,
            dialled=leg.number,
            shows=_number(leg.shows),
            identity="" if side is Side.OUTSIDE else self._called_identity(leg),
        )
        if is_bridged:
            for at in self._bridged_at:
                yield Joined(leg=leg.uuid, at=at, bridge=self._key)
        elif rang_at is not None:
            yield Rang(leg=leg.uuid, at=rang_at)

    def _called_end(self, leg: _Called, cause: str, status: str) -> Iterator[Fact]:
        ended_at = self._record.ended_at
        if cause in causes.GIVEN_UP:
            yield GivenUp(leg=leg.uuid, at=ended_at)
        yield HungUp(leg=leg.uuid, at=ended_at, sip=causes.sip(status), q850=causes.q850(cause))

    def _went_on(self) -> bool:
        """Whether its partner stayed when it left: it tells of itself when it is over."""
        return self._record.get("hangup_cause") in causes.TRANSFERS or any(
            self._record.get(name) in causes.TRANSFERS for name in ("bridge_hangup_cause", "last_bridge_hangup_cause")
        )

    def _called(self) -> Sequence[_Called]:
        """All, each once, the earliest first, and of each what is known best."""
        record = self._record
        known: dict[str, _Called] = {}
        for entry in record.all("originated_legs"):
            uuid, _, rest = entry.partition(";")
            known[uuid] = _Called(uuid=uuid, number=rest.rpartition(";")[2], shows=self._shown_outside())
        takes_any = self._places and self._side() is Side.OUTSIDE
        for other in (other for profile in record.profiles for other in profile.originatees):
            if other.uuid in known or takes_any:
                known[other.uuid] = _Called(
                    uuid=other.uuid, channel=other.channel, number=other.destination, shows=other.caller
                )
        partner = record.get("last_bridge_to") or record.get("bridge_uuid") or record.get("cc_agent_uuid")
        if self._bridged_at and partner and (partner in known or takes_any):
            it = known.get(partner) or _Called(uuid=partner, shows=self._shown_outside())
            known[partner] = replace(it, channel=it.channel or record.get("bridge_channel"))
        return tuple(known.values())

    def _shown_outside(self) -> str:
        names = ("origination_caller_id_number", "effective_caller_id_number", "outbound_caller_id_number")
        return next(filter(None, map(self._record.get, names)), self._record.last.caller)

    def _side_of_called(self, leg: _Called) -> Side:
        """Of a leg whose channel nobody tells: as it was dialled."""
        return self._side_of_channel(leg.channel or self._dial_string(leg.number))

    def _called_identity(self, leg: _Called) -> str:
        return _user(leg.channel) or leg.number

    def _dial_string(self, number: str) -> str:
        """What a bridge was asked to call that has this number in it, without the variables before it."""
        strings = [data for name, data, _ in self._record.applications if name == "bridge"]
        ways = [_bare(way) for data in reversed(strings) for way in _BETWEEN.split(_bare(data))]
        return next((way for way in ways if number and number in way), ways[0] if len(ways) == 1 else "")


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


def _is_some(value: str) -> bool:
    return value.isascii() and value.isdigit() and value.strip("0") != ""
