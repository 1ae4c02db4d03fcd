"""What our template has a 3CX post becomes the right call; and the template posts what is read."""

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.connectors import three_cx
from hookline.connectors.three_cx import ThreeCx
from hookline.errors import Invalid, MissingField
from hookline.ports.connectors import Posted
from tests.connectors.called import finished, payload, posted, reports, right

TEMPLATE = Path(__file__).parents[2] / "docs" / "how-to" / "connect-3cx-template.xml"


def call(call_type: str, **different: str) -> Posted:
    """What the template posts. Everything is text; what is not known is empty."""
    usual = {
        "call_type": call_type, "number": "+14002007868", "line": "+441400800008", "agent": "101",
        "agent_email": "john@company.example", "duration": "00:02:03", "started_at": "2026-11-25T08:50:00Z",
        "established_at": "2026-11-25T08:50:10Z", "ended_at": "2026-11-25T08:52:13Z",
    }  # fmt: skip
    return posted(usual | different)


def test_a_call_that_an_agent_took_is_answered() -> None:
    assert payload(ThreeCx(), {}, [call("Inbound")]) == right("answered")


def test_a_call_that_nobody_took_is_missed() -> None:
    told = call("Missed", duration="00:00:00", established_at="0001-01-01T00:00:00Z")
    assert payload(ThreeCx(), {}, [told]) == right("missed")


def test_a_call_that_the_contact_took_is_connected() -> None:
    assert payload(ThreeCx(), {}, [call("Outbound")]) == right("connected")


@pytest.mark.parametrize("spelling", ["Notanswered", "NotAnswered", "Not answered"])
def test_a_call_that_the_contact_did_not_take_is_not_connected(spelling: str) -> None:
    assert payload(ThreeCx(), {}, [call(spelling, duration="", established_at="")]) == right("not connected")


@pytest.mark.parametrize("established", ["", "0001-01-01T00:00:00Z", "2026-11-25T09:00:00Z"])
@pytest.mark.parametrize(("duration", "seconds"), [("00:02:03", 123), ("0.00:02:03.9", 123), ("1:00:00:00", None)])
def test_where_the_answer_is_not_told_the_length_is(established: str, duration: str, seconds: int | None) -> None:
    told = call("Inbound", established_at=established, duration=duration)
    if seconds is None:
        with pytest.raises(Invalid, match="established_at"):
            reports(ThreeCx(), {}, [told])
    else:
        assert payload(ThreeCx(), {}, [told]) == right("answered", duration_seconds=seconds)


NEVER = "0001-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("call_type", "established", "duration", "kind"),
    [("Inbound", "2026-11-25T08:50:10Z", "00:02:03", "answered"), ("Inbound", NEVER, "00:00:00", "missed"),
     ("Inbound", "", "00:00:00", "missed"), ("Inbound", "", "00:02:03", "answered"),
     ("Inbound", "2026-11-25T08:52:13Z", "00:00:00", "answered"),
     ("Outbound", "2026-11-25T08:50:10Z", "00:02:03", "connected"), ("Outbound", NEVER, "00:00:00", "not connected"),
     ("Outbound", "", "0.00:00:00.0", "not connected"), ("Outbound", "", "00:02:03", "connected"),
     ("Missed", "2026-11-25T08:50:10Z", "00:02:03", "missed"), ("Missed", "", "", "missed"),
     ("Notanswered", "2026-11-25T08:50:10Z", "00:02:03", "not connected"), ("Notanswered", "", "", "not connected")],
)  # fmt: skip
def test_a_call_that_is_over_was_taken_only_if_its_type_says_so_and_it_lasted(
    call_type: str, established: str, duration: str, kind: str
) -> None:
    told = call(call_type, established_at=established, duration=duration)
    assert payload(ThreeCx(), {}, [told])["type"] == kind


def test_a_length_beyond_the_call_is_cut() -> None:
    told = call("Inbound", established_at="", duration="09:00:00")
    assert payload(ThreeCx(), {}, [told]) == right("answered", duration_seconds=133)


def test_an_agent_without_a_mail_address_is_known_by_the_extension() -> None:
    assert payload(ThreeCx(), {}, [call("Inbound", agent_email="")]) == right("answered")


@pytest.mark.parametrize("number", ["", "anonymous"])
def test_a_number_that_is_withheld_is_empty(number: str) -> None:
    assert payload(ThreeCx(), {}, [call("Missed", number=number)]) == right("missed", phone_number="")


@given(st.permutations(["", "101", "102", "101"]))
def test_a_call_that_rang_at_several_phones_is_one_in_any_order(agents: list[str]) -> None:
    told = [call("Missed", agent=agent, agent_email="") for agent in agents]
    assert payload(ThreeCx(), {}, told) == right("missed")


def test_the_same_call_told_twice_is_one_and_another_is_another() -> None:
    told = [call("Outbound"), call("Outbound"), call("Outbound", agent="102"), call("Outbound", number="+14002007869")]
    assert len({report.call_key for report in reports(ThreeCx(), {}, told)}) == 3
    assert finished(ThreeCx(), {}, told[:2]) == finished(ThreeCx(), {}, told[:1])


def test_a_call_to_us_needs_a_line() -> None:
    with pytest.raises(MissingField, match="line"):
        reports(ThreeCx(), {}, [call("Missed", line="")])


@pytest.mark.parametrize(
    ("different", "field"),
    [
        ({"call_type": "Chat"}, "call_type"),
        ({"started_at": "25.11.2026 08:50"}, "started_at"),
        ({"ended_at": "2026-11-25T08:52:13"}, "ended_at"),
        ({"number": "1" * 300}, "number"),
    ],
)
def test_what_is_no_call_is_refused_by_the_name_of_its_field(different: dict[str, str], field: str) -> None:
    with pytest.raises(Invalid) as refusal:
        reports(ThreeCx(), {}, [call(**{"call_type": "Inbound"} | different)])
    assert refusal.value.fields[0].field == field


@pytest.mark.parametrize("body", [b"", b"<call/>", b"[]", b'{"call_type": "Inbound"}'])
def test_what_the_template_does_not_post_is_refused(body: bytes) -> None:
    with pytest.raises(Invalid):
        reports(ThreeCx(), {}, [posted(body)])


@pytest.mark.parametrize("settings", [{"token": "t"}, {"region": "England"}])
def test_wrong_settings_are_refused_by_name(settings: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="settings\\."):
        ThreeCx().check(settings)


def test_no_setting_is_needed() -> None:
    assert ThreeCx().check({}) == {"region": ""}


def test_the_template_posts_what_is_read_and_nothing_else() -> None:
    crm = ET.parse(TEMPLATE).getroot()
    [report] = crm.findall(".//Scenario[@Id='ReportCall']/Request")
    assert (report.get("RequestType"), report.get("RequestEncoding")) == ("Post", "Json")
    posts = {value.get("Key") for value in report.findall("./PostValues/Value")}
    assert posts == set(three_cx._Call.__struct_fields__)
    parameters = {each.get("Name") for each in crm.findall("./Parameters/Parameter")}
    assert {"HooklineUrl", "Line", "ReportCallEnabled"} == parameters
