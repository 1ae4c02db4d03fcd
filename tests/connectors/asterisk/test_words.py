"""What the events of channels that no capture has say, as their documents and Asterisk's source have it."""

from collections.abc import Iterator

import pytest

from hookline.domain.finished_calls import FinishedCall, finished_call
from hookline.domain.legs import CallPlaced, LegStarted, Side
from tests.connectors.asterisk.captures import ARRIVAL, LIVE, Message, Table, words

LINE, CALLER = "+441400800008", "+14002007868"
TRUNKS = {"trunkChannelPrefixes": ["IAX2/carrier-", "DAHDI/i1/", "DAHDI/4-"], "inboundContexts": ["from-trunk"]}


def times() -> Iterator[str]:
    at = 1796085940.0
    while True:
        at += 1
        yield f"{at:.6f}"


class Script:
    """Events, one a second."""

    def __init__(self) -> None:
        self.events: list[Message] = []
        self._times = times()
        self._linked: dict[str, str] = {}  # Uniqueid -> Linkedid

    def say(self, event: str, channel: str = "", uniqueid: str = "", **more: str) -> "Script":
        """One more event about a channel. It belongs to the call `1` unless it began in another."""
        linked = self._linked.setdefault(uniqueid, more.get("Linkedid", "1"))
        about = {"Channel": channel, "Uniqueid": uniqueid, "Linkedid": linked} if channel else {}
        self.events.append(Message({"Event": event, "Timestamp": next(self._times), **about, **more}))
        return self

    def begins(self, channel: str, uniqueid: str, state: str, **more: str) -> "Script":
        """A channel is announced."""
        return self.say("Newchannel", channel, uniqueid, ChannelStateDesc=state, **more)

    def talks(self, *channels: tuple[str, str], technology: str = "simple_bridge") -> "Script":
        """These are in a bridge together."""
        for channel, uniqueid in channels:
            self.say("BridgeEnter", channel, uniqueid, BridgeUniqueid="b1", BridgeTechnology=technology)
        return self

    def ends(self, *channels: tuple[str, str]) -> "Script":
        """These hang up."""
        for channel, uniqueid in channels:
            self.say("Hangup", channel, uniqueid, Cause="16")
        return self

    def calls(self) -> list[tuple[str, str, int, bool]]:
        """Type, number, seconds and whether it was recorded of each call."""
        table = Table(LIVE)
        table.words = words(LIVE, **TRUNKS)
        found = [finished_call(facts, LIVE.phonebook()) for facts in table.hear(self.events).over.values()]
        payloads = [call.payload for call in found if isinstance(call, FinishedCall)]
        return [(str(each.type), each.phone_number, each.duration_seconds, each.recording) for each in payloads]


@pytest.mark.parametrize(
    ("trunk", "states"),
    [
        ("IAX2/carrier-12", ("Ring",)),  # iax2: a call that is accepted
        ("DAHDI/i1/4002007868-1", ("Ring",)),  # ISDN, number sent at once
        ("DAHDI/i1/4002007868-2", ("Rsrvd", "Ring")),  # ISDN, digits come one by one
        ("DAHDI/4-1", ("Pre-ring", "Ring")),  # analog: the caller's number comes between the first two rings
        ("SIP/siptrunk-4", ("Down", "Ring")),  # chan_sip, by its context
    ],
)
def test_a_caller_comes_in_whatever_the_channel_is_announced_as(trunk: str, states: tuple[str, ...]) -> None:
    contact, phone = (trunk, "1"), ("PJSIP/101-1", "2")
    context = "from-trunk" if trunk.startswith("SIP/") else "elsewhere"
    known = {"CallerIDNum": CALLER, "Exten": LINE, "Context": context}
    unknown = {"CallerIDNum": "<unknown>", "Exten": "s", "Context": context}
    script = Script().begins(*contact, states[0], **(known if states == ("Ring",) else unknown))
    for state in states[1:]:
        script.say("Newstate", *contact, ChannelStateDesc=state, **known)
    script.begins(*phone, "Down", CallerIDNum="101", Context="from-internal")
    script.talks(contact, phone).ends(contact, phone)
    assert script.calls() == [("answered", CALLER, 1, False)]


def test_a_phone_of_chan_sip_or_an_analog_one_places_a_call() -> None:
    for channel, state in (("SIP/106-1", "Down"), ("DAHDI/9-1", "Rsrvd")):
        phone, contact = (channel, "1"), ("IAX2/carrier-3", "2")
        script = Script().begins(*phone, state, CallerIDNum="106", Exten="", Context="from-internal")
        script.say("Newstate", *phone, ChannelStateDesc="Ring", CallerIDNum=LINE, Exten="+442079460018")
        script.begins(*contact, "Down", CallerIDNum="<unknown>")
        script.say("DialBegin", *phone, DestUniqueid="2", DestConnectedLineNum=LINE, DialString="carrier/02079460018")
        script.talks(contact, phone).ends(contact, phone)
        assert script.calls() == [("connected", "+442079460018", 1, False)]


def test_a_channel_that_is_called_places_nothing_however_it_goes_on() -> None:
    reader = words(LIVE)
    script = Script().begins("PJSIP/101-1", "1", "Down")
    for state in ("Ringing", "Up"):
        script.say("Newstate", "PJSIP/101-1", "1", ChannelStateDesc=state)
    facts = [fact for event in script.events for fact in reader.facts(event, ARRIVAL)]
    assert not any(isinstance(fact, CallPlaced) for fact in facts)


@pytest.mark.parametrize("channel", ["Announcer/ARI-1;2", "CBAnn/1000-1;1", "CBRec/conf-1000-uid-7", "Snoop/5-1"])
def test_what_plays_or_records_for_a_bridge_is_nobody(channel: str) -> None:
    [begun, _] = words(LIVE).facts(Script().begins(channel, "1", "Down").events[0], ARRIVAL)
    assert isinstance(begun, LegStarted)
    assert begun.side is Side.NOBODY


@pytest.mark.parametrize("recorded_at", ["before", "during"])
def test_a_conference_that_is_recorded_as_a_whole_is_a_recorded_talk(recorded_at: str) -> None:
    contact, phone = ("PJSIP/trunk-1", "1"), ("PJSIP/101-1", "2")
    script = Script().begins(*contact, "Ring", CallerIDNum=CALLER, Exten=LINE, Context="from-trunk")
    if recorded_at == "before":
        script.say("ConfbridgeRecord", BridgeUniqueid="b1", Conference="1000")
    script.talks(contact, technology="softmix")
    script.begins(*phone, "Ring", CallerIDNum="101", Exten="8000", Context="from-internal", Linkedid="2")
    script.talks(phone, technology="softmix")
    if recorded_at == "during":
        script.say("ConfbridgeRecord", BridgeUniqueid="b1", Conference="1000")
    script.ends(contact, phone)
    seconds = 1 if recorded_at == "before" else 2
    assert script.calls() == [("answered", CALLER, seconds, True)]


def test_a_recording_that_ended_before_anybody_talked_is_none_of_the_talk() -> None:
    contact, phone = ("PJSIP/trunk-1", "1"), ("PJSIP/101-1", "2")
    script = Script().begins(*contact, "Ring", CallerIDNum=CALLER, Exten=LINE, Context="from-trunk")
    script.say("ConfbridgeRecord", BridgeUniqueid="b1").talks(contact, technology="softmix")
    script.say("ConfbridgeStopRecord", BridgeUniqueid="b1")
    script.begins(*phone, "Ring", CallerIDNum="101", Exten="8000", Linkedid="2").talks(phone, technology="softmix")
    script.ends(contact, phone)
    assert script.calls() == [("answered", CALLER, 1, False)]


def test_who_waits_in_one_holding_bridge_is_not_in_one_call() -> None:
    one, other = ("PJSIP/trunk-1", "1"), ("PJSIP/trunk-2", "2")
    script = Script().begins(*one, "Ring", CallerIDNum=CALLER, Exten=LINE, Context="from-trunk")
    script.begins(*other, "Ring", CallerIDNum="07700900103", Exten=LINE, Context="from-trunk", Linkedid="2")
    script.talks(one, other, technology="holding_bridge").ends(one, other)
    assert sorted(script.calls()) == [("missed", CALLER, 0, False), ("missed", "+447700900103", 0, False)]


def test_two_meetings_in_one_room_of_meetme_are_two_calls() -> None:
    script = Script()
    for first in ("1", "3"):
        contact, phone = (f"PJSIP/trunk-{first}", first), (f"PJSIP/101-{first}", f"{first}0")
        script.begins(*contact, "Ring", CallerIDNum=CALLER, Exten=LINE, Context="from-trunk", Linkedid=first)
        script.begins(*phone, "Ring", CallerIDNum="101", Exten="8000", Linkedid=f"{first}0")
        for channel in (contact, phone):
            script.say("MeetmeJoin", *channel, Meetme="1000")
        for channel in (contact, phone):
            script.say("MeetmeLeave", *channel, Meetme="1000")
            script.say("Hangup", *channel, Cause="16")
        script.say("MeetmeEnd", Meetme="1000")
    assert script.calls() == [("answered", CALLER, 2, False)] * 2
