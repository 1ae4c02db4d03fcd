"""What a live Asterisk sent becomes the right calls, to the second, however it comes."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from hookline.connectors.asterisk import framing
from hookline.connectors.asterisk.hearing import Hearing
from hookline.connectors.asterisk.settings import read_settings
from hookline.domain.finished_calls import FinishedCall, Reason, finished_call
from hookline.domain.legs import Fact
from tests.connectors.asterisk.captures import (
    ARRIVAL,
    CONFIG,
    EXPECTED,
    Message,
    Table,
    assert_right,
    capture,
    messages,
    phonebook,
    plain,
)

NAMES = sorted(EXPECTED)
_SECOND = timedelta(seconds=1)


@pytest.mark.parametrize("name", NAMES)
def test_a_capture_becomes_the_right_calls(name: str) -> None:
    assert_right(Table().hear(messages(capture(name))).payloads(), EXPECTED[name], seconds=0)


@pytest.mark.parametrize("name", NAMES)
def test_without_times_of_their_own_events_are_of_when_they_arrive(name: str) -> None:
    heard = messages(capture(name))
    assert_right(Table().hear(map(_unstamped, heard), _arrivals(heard)).payloads(), EXPECTED[name])


@pytest.mark.parametrize("name", NAMES)
def test_cdr_events_are_not_needed_and_may_come_whenever_they_like(name: str) -> None:
    heard = messages(capture(name))
    rest = [message for message in heard if message.get("Event") not in ("Cdr", "CEL")]
    late = [message for message in heard if message.get("Event") in ("Cdr", "CEL")]
    assert_right(Table().hear(rest).payloads(), EXPECTED[name])
    assert_right(Table().hear([*rest, *late]).payloads(), EXPECTED[name])
    assert_right(Table().hear([*late, *rest]).payloads(), EXPECTED[name])


@pytest.mark.parametrize("name", NAMES)
def test_the_same_capture_twice_is_the_same_call(name: str) -> None:
    heard = messages(capture(name))
    assert_right(Table().hear([*heard, *heard]).payloads(), EXPECTED[name])
    table = Table().hear(map(_unstamped, heard), _arrivals(heard))
    table.hear(map(_unstamped, heard), _arrivals(heard, later=600))
    assert_right(table.payloads(), EXPECTED[name])


@pytest.mark.parametrize("seed", range(40))
def test_calls_at_once_do_not_disturb_one_another(seed: int) -> None:
    dice = random.Random(seed)
    names = dice.sample(NAMES, k=dice.randint(2, 4))
    mixed = _interleaved([messages(capture(name)) for name in names], dice)
    assert_right(Table().hear(mixed).payloads(), [each for name in names for each in EXPECTED[name]], seconds=0)


@pytest.mark.parametrize("name", NAMES)
def test_what_an_older_asterisk_does_not_say_is_not_needed(name: str) -> None:
    """`TechCause` came with 20.17 and 22.7; one thing cannot be told without it."""
    heard = [
        Message({key: value for key, value in message.items() if key != "TechCause"})
        for message in messages(capture(name))
    ]
    assert_right(Table().hear(heard).payloads(), EXPECTED[name])


@pytest.mark.parametrize("name", NAMES)
def test_a_system_without_a_name_is_read_alike(name: str) -> None:
    plain = capture(name).replace(b"pbx1-1795", b"1795")
    assert_right(Table().hear(messages(plain)).payloads(), EXPECTED[name])


def test_an_asterisk_that_restarts_within_a_second_uses_its_ids_again() -> None:
    heard = messages(capture("inbound_answered"))
    again = [_later(message, timedelta(milliseconds=900)) for message in heard]
    for message in again:  # of bridges each has a random one
        message.update({"BridgeUniqueid": f"{message['BridgeUniqueid']}-2"} if "BridgeUniqueid" in message else {})
    assert len(Table().hear([*heard, *again]).payloads()) == 2


@pytest.mark.parametrize("name", NAMES)
def test_who_comes_in_the_middle_of_a_call_learns_what_is_there(name: str) -> None:
    """A new process has seen nothing of the beginning: it asks for the channels, and the call is still one event."""
    heard = [message for message in messages(capture(name)) if message.get("Event")]
    for place in range(20, len(heard) - 20, 37):
        table = Table()
        table.hear(_channels(heard[:place]))
        table.hear(heard[place:])
        assert len(table.payloads()) <= max(1, len(EXPECTED[name]))


@pytest.mark.parametrize("name", NAMES)
def test_a_short_absence_of_which_nothing_is_missed_changes_nothing(name: str) -> None:
    heard = [message for message in messages(capture(name)) if message.get("Event")]
    for place in range(10, len(heard), 29):
        table = Table().hear(heard[:place])
        listing = _channels(heard[:place])
        table.hear(listing)
        table.tell(table.air.missing([table.words.leg(each.get("Uniqueid")) for each in listing]))
        table.hear(heard[place:])
        assert_right(table.payloads(), EXPECTED[name])


def test_a_call_that_ends_while_nobody_listens_is_reported_as_far_as_it_was_heard() -> None:
    heard = messages(capture("inbound_answered"))
    end = next(place for place, each in enumerate(heard) if each.get("Event") == "Hangup")
    table = Table().hear(heard[: end - 20])
    assert not table.over
    for _ in range(2):  # it has to be missing two times in a row
        table.tell(table.air.missing([]))
    [payload] = table.payloads()
    assert payload["type"] == "answered"
    assert len(table.air) == 0


def test_a_leg_that_never_hangs_up_is_forgotten_after_a_day_and_harms_no_other() -> None:
    heard = messages(capture("two_calls_at_once"))
    lost = next(each for each in heard if each.get("Event") == "Hangup" and each.get("CallerIDNum") == "+33199000042")
    table = Table().hear([each for each in heard if each is not lost])
    assert len(table.payloads()) == 2
    assert len(table.air) == 1
    assert table.air.forget(ARRIVAL + timedelta(days=400)) == 1
    assert len(table.air) == 0
    assert not table.air.legs()


def test_a_number_that_is_no_line_is_told_apart() -> None:
    other = capture("inbound_missed_no_answer").replace(b"+441400800008", b"+441400800999")
    [facts] = Table().hear(messages(other)).over.values()
    verdict = finished_call(facts, phonebook())
    assert verdict.reason is Reason.UNKNOWN_LINE  # type: ignore[union-attr]
    assert verdict.line == "+441400800999"  # type: ignore[union-attr]


@pytest.mark.parametrize("spelling", ["07700900103", "00447700900103", "447700900103", "+44 7700 900103"])
def test_a_caller_s_number_is_read_in_every_spelling(spelling: str) -> None:
    other = capture("inbound_answered").replace(b"+14002007868", spelling.encode())
    [payload] = Table().hear(messages(other)).payloads()
    assert payload["phone_number"] == "+447700900103"


@pytest.mark.parametrize("spelling", ["anonymous", "Anonymous", "<unknown>", "", "Restricted", "unavailable"])
def test_a_withheld_caller_has_no_number(spelling: str) -> None:
    other = capture("inbound_answered").replace(b"+14002007868", spelling.encode())
    [payload] = Table().hear(messages(other)).payloads()
    assert payload["phone_number"] == ""


def _framed(message: Message) -> framing.Message:
    """As the connection has it."""
    return framing.Message("\n".join(f"{key}: {value}" for key, value in message.items()).encode())


def _unstamped(message: Message) -> Message:
    return Message({key: value for key, value in message.items() if key != "Timestamp"})


def _later(message: Message, by: timedelta) -> Message:
    stamp = message.get("Timestamp")
    moved = f"{float(stamp) + by.total_seconds():.6f}" if stamp else stamp
    return Message({**message, "Timestamp": moved})


def _arrivals(heard: list[Message], *, later: float = 0) -> Iterator[datetime]:
    """When each arrives if it arrives as it was sent."""
    last = first = float(next(each["Timestamp"] for each in heard if each.get("Timestamp")))
    for message in heard:
        last = float(message.get("Timestamp") or last)
        yield ARRIVAL + timedelta(seconds=last - first + later)


def _interleaved(streams: list[list[Message]], dice: random.Random) -> Iterator[Message]:
    """Some of each in turn, in their own order."""
    ahead = [iter(stream) for stream in streams]
    while ahead:
        stream = dice.choice(ahead)
        for _ in range(dice.randint(1, 40)):
            message = next(stream, None)
            if message is None:
                ahead.remove(stream)
                break
            yield message


def _channels(heard: list[Message]) -> list[Message]:
    """What Asterisk would answer to CoreShowChannels after all this."""
    there: dict[str, Message] = {}
    for message in heard:
        name = message.get("Uniqueid")
        if message["Event"] == "Newchannel":
            there[name] = Message({**message, "Event": "CoreShowChannel", "Began": message["Timestamp"]})
        elif message["Event"] == "Hangup":
            there.pop(name, None)
        elif message["Event"] in ("BridgeEnter", "BridgeLeave") and name in there:
            there[name]["BridgeId"] = message["BridgeUniqueid"] if message["Event"] == "BridgeEnter" else ""
        if name in there:
            for key in ("Linkedid", "CallerIDNum", "ConnectedLineNum", "Exten", "Context", "ChannelStateDesc"):
                there[name][key] = message.get(key, there[name].get(key))
    now = float(heard[-1].get("Timestamp") or 0)
    for message in there.values():
        seconds = int(now - float(message.pop("Began")))
        message["Duration"] = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        message["Timestamp"] = f"{now:.6f}"
    return list(there.values())


@pytest.mark.parametrize("name", ["ivr_answered", "transfer_blind_answered", "inbound_answered", "outbound_connected"])
def test_another_node_that_takes_over_in_the_middle_of_a_talk_tells_the_same_call(name: str) -> None:
    """What the first one wrote down and what the second one is told is put together, as the store does."""
    heard = [message for message in messages(capture(name)) if message.get("Event") not in ("", "FullyBooted")]
    talk = [at for at, each in enumerate(heard) if each.get("Event") == "BridgeEnter"][1] + 1
    hang_up = next(at for at, each in enumerate(heard) if each.get("Event") in ("BridgeLeave", "Hangup") and at > talk)
    settings = read_settings(
        {"host": "pbx", "username": "u", "secret": "s", "trunkChannelPrefixes": [CONFIG["trunk_channel_prefix"]]}
    )
    for place in range(talk, hang_up, 5):
        kept: dict[str, list[Fact]] = {}
        first, second = Hearing(settings), Hearing(settings)
        told = [report for message in heard[:place] for report in first.hear(_framed(message), ARRIVAL)]
        told += first.outlines()
        second.restore(told)
        second.ask_for_channels()
        listing = [*_channels(heard[:place]), Message({"Event": "CoreShowChannelsComplete"})]
        told += [report for message in [*listing, *heard[place:]] for report in second.hear(_framed(message), ARRIVAL)]
        for report in told:
            facts = kept.setdefault(report.call_key, [])
            facts += [fact for fact in report.facts if fact not in facts]
        found = [finished_call(facts, phonebook()) for facts in kept.values()]
        payloads = [plain(call.payload) for call in found if isinstance(call, FinishedCall)]
        assert_right(payloads, EXPECTED[name])


def test_a_call_outlasts_however_many_others() -> None:
    heard = messages(capture("inbound_answered"))
    place = next(at for at, each in enumerate(heard) if each.get("Event") == "BridgeLeave")
    table = Table().hear(heard[:place])
    began, ended = (next(each for each in heard if each.get("Event") == kind) for kind in ("Newchannel", "Hangup"))
    for number in range(21_000):
        other = {"Uniqueid": f"x.{number}", "Linkedid": f"x.{number}", "Channel": f"PJSIP/999-{number}", "Exten": "200",
                 "Context": "from-internal"}  # fmt: skip
        table.hear([Message({**began, **other}), Message({**ended, **other})])
    table.hear(heard[place:])
    assert_right(table.payloads(), EXPECTED["inbound_answered"])
