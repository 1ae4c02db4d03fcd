"""The corpus of spellings through every connector: each is fed with a missed call in its own message shape."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from hookline.connectors.aircall import Aircall
from hookline.connectors.asterisk.words import Words
from hookline.connectors.dialpad import Dialpad
from hookline.connectors.plivo import Plivo
from hookline.connectors.ringover import Ringover
from hookline.connectors.telnyx import Telnyx
from hookline.connectors.three_cx import ThreeCx
from hookline.connectors.twilio import Twilio
from hookline.connectors.vonage import Vonage
from hookline.domain.events import CallType
from hookline.domain.finished_calls import FinishedCall, finished_call
from hookline.domain.ids import PhoneLineId
from hookline.domain.legs import Fact
from hookline.domain.numbers import NumberKind
from hookline.domain.phonebook import Phonebook, PhoneLine
from hookline.ports.connectors import Called, Posted
from hookline.services.intake import TRUNK_KINDS
from tests.connectors import test_aircall as aircall
from tests.connectors import test_dialpad as dialpad
from tests.connectors import test_plivo as plivo
from tests.connectors import test_ringover as ringover
from tests.connectors import test_telnyx as telnyx
from tests.connectors import test_three_cx as three_cx
from tests.connectors import test_twilio as twilio
from tests.connectors import test_vonage as vonage
from tests.connectors.called import reports, united
from tests.connectors.freeswitch import switch as freeswitch
from tests.spellings import LINES, SPELLINGS, Spelling

_AT: Final = datetime(2026, 11, 25, 9, tzinfo=UTC)

#: A caller's spelling and our line -> the facts of a missed call.
Adapter = Callable[[str, str], Iterable[Fact]]


def _called(connector: Called, settings: dict[str, str], *posts: Posted) -> list[Fact]:
    return united(reports(connector, settings, posts))


class _Event:
    """A message of the manager interface: what is not there is empty."""

    def __init__(self, channel: dict[str, str], **more: str) -> None:
        self._values = {**channel, **more}

    def get(self, key: str, default: str = "", /) -> str:
        return self._values.get(key, default)


def from_asterisk(spelling: str, line: str) -> Iterable[Fact]:
    channel = {"Channel": "PJSIP/trunk-00000001", "Uniqueid": "1.1", "Linkedid": "1.1", "Context": "from-trunk"}
    words = Words(trunk_channel_prefixes=("PJSIP/trunk-",), inbound_contexts=("from-trunk",))
    begins = _Event(channel, Event="Newchannel", ChannelStateDesc="Ring", CallerIDNum=spelling, Exten=line)
    ends = _Event(channel, Event="Hangup", Cause="19")
    return [*words.facts(begins, _AT), *words.facts(ends, _AT + timedelta(seconds=9))]


def from_freeswitch(spelling: str, line: str) -> Iterable[Fact]:
    [leg] = [leg for leg in freeswitch.live("inbound_cancelled") if leg["variables"]["direction"] == "inbound"]
    for flow in leg["callflow"]:
        flow["caller_profile"]["caller_id_number"] = spelling
        flow["caller_profile"]["destination_number"] = line
    return united(freeswitch.reports([leg]))


def from_twilio(spelling: str, line: str) -> Iterable[Fact]:
    leg = {**twilio.INBOUND, "From": spelling, "To": line}
    return _called(Twilio(), twilio.SETTINGS, twilio.ended(leg, "completed", 30))


def from_telnyx(spelling: str, line: str) -> Iterable[Fact]:
    return _called(
        Telnyx(), telnyx.SETTINGS,
        telnyx.event("initiated", 0, direction="incoming", **{"from": spelling, "to": line}),
        telnyx.event("hangup", 30, hangup_cause="timeout"),
    )  # fmt: skip


def from_vonage(spelling: str, line: str) -> Iterable[Fact]:
    leg = {"from": spelling, "to": line[1:], "direction": "inbound"}
    return _called(
        Vonage(), vonage.SETTINGS, vonage.event("started", 0, **leg),
        vonage.event("completed", 30, **leg, start_time="2026-11-25T08:00:00Z", end_time="2026-11-25T08:00:30Z"),
    )  # fmt: skip


def from_plivo(spelling: str, line: str) -> Iterable[Fact]:
    form = {**plivo.INBOUND, "From": spelling, "To": line[1:], "Event": "Hangup", "CallStatus": "completed"}
    return _called(Plivo(), plivo.SETTINGS, plivo.signed({**form, "EndTime": "2026-11-25 09:00:00"}))


def from_aircall(spelling: str, line: str) -> Iterable[Fact]:
    number = {"id": 1, "name": "Line", "digits": line, "country": "GB", "open": True}
    return _called(Aircall(), aircall.SETTINGS, aircall.call("call.ended", raw_digits=spelling, number=number))


def from_dialpad(spelling: str, line: str) -> Iterable[Fact]:
    return _called(
        Dialpad(), dialpad.SETTINGS, dialpad.event("missed", external_number=spelling, internal_number=line)
    )  # fmt: skip


def from_ringover(spelling: str, line: str) -> Iterable[Fact]:
    return _called(
        Ringover(), ringover.SETTINGS, ringover.event("missed", from_number=spelling, to_number=line[1:])
    )  # fmt: skip


def from_three_cx(spelling: str, line: str) -> Iterable[Fact]:
    return _called(ThreeCx(), {}, three_cx.call("Missed", number=spelling, line=line))


ADAPTERS: Final[dict[str, Adapter]] = {
    "3cx": from_three_cx,
    "aircall": from_aircall,
    "asterisk": from_asterisk,
    "dialpad": from_dialpad,
    "freeswitch": from_freeswitch,
    "plivo": from_plivo,
    "ringover": from_ringover,
    "telnyx": from_telnyx,
    "twilio": from_twilio,
    "vonage": from_vonage,
}
#: Systems that write E.164 without its plus: digits alone are a number with its country code, never a national one.
WITHOUT_PLUS: Final = frozenset({"plivo", "ringover", "vonage"})


def _phonebook(line: str, system: str) -> Phonebook:
    kept = PhoneLine(
        id=PhoneLineId("line"), number=line, name="Line", owner_email="", region="", created_at=_AT, modified_at=_AT
    )  # fmt: skip
    book = Phonebook([kept], [])
    return book if system in TRUNK_KINDS else book.without_trunks()


def _told(system: str, spelling: str, line: str) -> tuple[str, bool]:
    """What `phone_number` is, and whether it was not understood."""
    call = finished_call(ADAPTERS[system](spelling, line), _phonebook(line, system))
    assert isinstance(call, FinishedCall), (spelling, call)
    assert (call.payload.type, call.payload.phone_line) == (CallType.MISSED, line)
    return call.payload.phone_number, call.not_understood is not None


def _can_be_sent(system: str, spelling: Spelling) -> bool:
    is_national = spelling.is_bare and spelling.kind in (NumberKind.E164, NumberKind.NOT_UNDERSTOOD)
    is_twilios = system == "twilio" and spelling.spelling.startswith("whatsapp:")  # it is understood there
    return not (system in WITHOUT_PLUS and is_national) and not is_twilios


@pytest.mark.parametrize("home", LINES)
@pytest.mark.parametrize("system", ADAPTERS)
def test_every_connector_understands_every_spelling_alike(system: str, home: str) -> None:
    wrong = {}
    for each in SPELLINGS:
        if each.home == home and _can_be_sent(system, each):
            told = _told(system, each.spelling, LINES[home])
            right = (each.expected, each.kind == NumberKind.NOT_UNDERSTOOD)
            if each.needs_trunk and system not in TRUNK_KINDS:
                right = (each.spelling, True)
            if told != right:
                wrong[each.spelling] = (told, right, each.why)
    assert wrong == {}


@pytest.mark.parametrize("system", sorted(WITHOUT_PLUS))
def test_digits_alone_have_their_country_code_where_the_documents_say_so(system: str) -> None:
    for each in SPELLINGS:
        if each.spelling == each.expected and each.kind == NumberKind.E164:
            assert _told(system, each.spelling[1:], LINES[each.home]) == (each.expected, False)


def test_twilio_writes_the_numbers_of_whatsapp_calls_behind_a_word() -> None:
    assert _told("twilio", "whatsapp:+14155550199", LINES["GB"]) == ("+14155550199", False)


def test_there_is_an_adapter_for_every_connector() -> None:
    folder = Path(__file__).parents[2] / "src" / "hookline" / "connectors"
    kinds = {
        line.split('"')[1]
        for path in folder.rglob("*.py")
        for line in path.read_text("utf-8").splitlines()
        if line.startswith(('    kind = "', '    kind: Final = "'))
    }
    assert kinds == set(ADAPTERS)
