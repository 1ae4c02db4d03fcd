"""Calls through the door: what is reported is kept, shown and told of."""

from typing import Any

import pytest

from hookline.domain.numbers import NumberKind, read_number
from tests.api.door import CALL, Door
from tests.spellings import LINES, SPELLINGS


def test_a_call_is_told_of_with_exactly_the_payload_that_was_sent(door: Door) -> None:
    made = door.post("/v3/calls", CALL)
    assert list(made) == ["id"]
    assert made["id"].startswith("call_")
    [event] = door.get(f"/v3/events?subject={made['id']}")["events"]
    assert (event["event"], event["sequence"], event["payload"]) == ("callFinished", 1, CALL)
    call = door.get(f"/v3/calls/{made['id']}")
    assert (call["id"], call["source"], call["call"]) == (made["id"], "api", CALL)
    assert set(call) - {"id", "createdAt", "source", "call"} == {
        *("startedAt", "answeredAt", "endedAt", "connectorId", "externalId", "legs"),
    }
    assert call["legs"] == []
    assert [call[key] for key in ("startedAt", "answeredAt", "endedAt", "connectorId", "externalId")] == [None] * 5
    assert event["occurredAt"] == event["createdAt"] == call["createdAt"]


def test_what_is_absent_takes_its_empty_value(door: Door) -> None:
    id_ = door.post("/v3/calls", {"type": "missed", "phone_line": "+441400800008", "phone_number": ""})["id"]
    assert door.get(f"/v3/calls/{id_}")["call"] == {
        "account_name": {"family_name": "", "given_name": ""},
        "duration_seconds": 0,
        "is_forwarded": False,
        "phone_line": "+441400800008",
        "phone_line_name": "",
        "phone_number": "",
        "recording": False,
        "type": "missed",
    }


@pytest.mark.parametrize(
    "spelling",
    [
        "+441400800008", "+44 1400 800008", "+44 (0)1400 800008", "+44-1400-800-008", "0044 1400 800008",
        " +441400800008 ", "tel:+44-1400-800008", "+４４1400800008",
    ],
)  # fmt: skip
def test_a_number_in_any_international_spelling_becomes_e164(shared_door: Door, spelling: str) -> None:
    id_ = shared_door.post("/v3/calls", {**CALL, "phone_line": spelling, "phone_number": spelling})["id"]
    call = shared_door.get(f"/v3/calls/{id_}")["call"]
    assert (call["phone_line"], call["phone_number"]) == ("+441400800008", "+441400800008")


@pytest.mark.parametrize(
    "number",
    ["", "800008", "01400 800008", "+", "+44", "+999123456789", "+4414008000081400800008", "anonymous", "+44x"],
)
@pytest.mark.parametrize("field", ["phone_line", "phone_number"])
def test_what_is_no_international_number_is_refused(shared_door: Door, field: str, number: str) -> None:
    answer = shared_door.ask("POST", "/v3/calls", {**CALL, field: number})
    if (field, number) == ("phone_number", ""):  # withheld
        assert answer.status_code == 201
    else:
        assert (answer.status_code, answer.json()["code"]) == (400, "invalid_parameter")
        assert answer.json()["fields"][0]["field"] == field


@pytest.mark.parametrize(
    ("type_", "talks"),
    [
        ("answered", True),
        ("missed", False),
        ("missed voicemail", False),
        ("connected", True),
        ("not connected", False),
        ("failed/cancelled", False),
    ],
)
def test_only_a_call_on_which_people_talked_has_a_duration(shared_door: Door, type_: str, talks: bool) -> None:
    assert shared_door.ask("POST", "/v3/calls", {**CALL, "type": type_, "duration_seconds": 0}).status_code == 201
    answer = shared_door.ask("POST", "/v3/calls", {**CALL, "type": type_, "duration_seconds": 5})
    assert answer.status_code == (201 if talks else 400)
    if not talks:
        assert answer.json()["fields"][0]["field"] == "duration_seconds"


def test_a_batch_is_reported_in_its_order(door: Door) -> None:
    ids = door.post("/v3/calls/batch", {"calls": [{**CALL, "duration_seconds": each} for each in range(1000)]})["ids"]
    assert len(set(ids)) == 1000
    for index in (0, 500, 999):
        assert door.get(f"/v3/calls/{ids[index]}")["call"]["duration_seconds"] == index
    feed = door.get("/v3/events?limit=200")["events"]
    assert [event["subject"] for event in feed] == ids[:200]


def test_a_batch_is_reported_whole_or_not_at_all_and_the_refusal_names_the_place(door: Door) -> None:
    batch: list[Any] = [CALL, {**CALL, "account_name": {"given_name": 1}}]
    answer = door.ask("POST", "/v3/calls/batch", {"calls": batch})
    assert answer.status_code == 400
    assert answer.json()["fields"][0]["field"] == "calls[1].account_name.given_name"
    batch[1] = {**CALL, "phone_line": "nobody"}
    assert door.ask("POST", "/v3/calls/batch", {"calls": batch}).json()["fields"][0]["field"] == "calls[1].phone_line"
    assert door.get("/v3/calls")["calls"] == []
    assert door.get("/v3/events")["events"] == []


@pytest.mark.parametrize("count", [0, 1001])
def test_a_batch_has_1_to_1000_calls(shared_door: Door, count: int) -> None:
    answer = shared_door.ask("POST", "/v3/calls/batch", {"calls": [CALL] * count})
    assert (answer.status_code, answer.json()["code"]) == (400, "out_of_range")
    assert answer.json()["fields"][0]["field"] == "calls"


def test_calls_are_found_by_what_is_asked_for(door: Door) -> None:
    answered = door.post("/v3/calls", CALL)["id"]
    missed = door.post("/v3/calls", {**CALL, "type": "missed voicemail", "duration_seconds": 0})["id"]
    other = door.post("/v3/calls", {**CALL, "phone_line": "+4930123456", "phone_number": "+33123456789"})["id"]

    def found(query: str) -> list[str]:
        return [each["id"] for each in door.get(f"/v3/calls?{query}")["calls"]]

    assert found("") == [other, missed, answered]
    assert found("type=missed%20voicemail") == [missed]
    assert found("type=missed+voicemail") == [missed]
    assert found("phoneLine=%2B4930123456") == [other]
    assert found("phoneLine=+4930123456") == [other]  # a + that nobody escaped
    assert found("phoneNumber=0033123456789") == [other]
    assert found("type=answered&phoneNumber=%2B14002007868") == [answered]
    reported_at = door.get(f"/v3/calls/{missed}")["createdAt"]
    assert answered in found(f"to={reported_at}")
    assert set(found(f"from={reported_at}")) >= {missed, other}
    assert found("from=2100-01-01T00:00:00Z") == []


def test_times_are_kept_and_shown_and_the_event_happened_when_the_call_ended(door: Door) -> None:
    times = {
        "startedAt": "2026-01-05T10:00:00+01:00",
        "answeredAt": "2026-01-05T09:00:07.5Z",
        "endedAt": "2026-01-05T09:01:08.123456Z",
    }
    single = door.post("/v3/calls", {**CALL, **times})["id"]
    [batched] = door.post("/v3/calls/batch", {"calls": [{**CALL, **times}]})["ids"]
    for id_ in (single, batched):
        call = door.get(f"/v3/calls/{id_}")
        assert call["startedAt"] == "2026-01-05T09:00:00.000Z"
        assert call["answeredAt"] == "2026-01-05T09:00:07.500Z"
        assert call["endedAt"] == "2026-01-05T09:01:08.123Z"
        assert "endedAtIsEstimated" not in call
        [event] = door.get(f"/v3/events?subject={id_}")["events"]
        assert (event["occurredAt"], event["payload"]) == (call["endedAt"], CALL)
        assert event["createdAt"] == call["createdAt"] != call["endedAt"]


def test_a_call_whose_end_is_not_told_happened_when_it_was_reported(door: Door) -> None:
    id_ = door.post("/v3/calls", {**CALL, "startedAt": "2026-01-05T10:00:00Z", "endedAt": None})["id"]
    [event] = door.get(f"/v3/events?subject={id_}")["events"]
    assert event["occurredAt"] == event["createdAt"]


@pytest.mark.parametrize(
    ("times", "field"),
    [
        ({"endedAt": "2026-01-05T10:00:00"}, "endedAt"),
        ({"startedAt": "yesterday"}, "startedAt"),
        ({"answeredAt": 5}, "answeredAt"),
        ({"startedAt": "2026-01-05T10:00:01Z", "endedAt": "2026-01-05T10:00:00Z"}, "endedAt"),
        ({"startedAt": "2026-01-05T10:00:01Z", "answeredAt": "2026-01-05T10:00:00Z"}, "answeredAt"),
        ({"answeredAt": "2026-01-05T10:00:01Z", "endedAt": "2026-01-05T10:00:00Z"}, "endedAt"),
    ],
)
def test_times_that_no_call_can_have_are_refused_by_name(shared_door: Door, times: dict[str, Any], field: str) -> None:
    answer = shared_door.ask("POST", "/v3/calls", {**CALL, **times})
    assert (answer.status_code, answer.json()["fields"][0]["field"]) == (400, field)
    answer = shared_door.ask("POST", "/v3/calls/batch", {"calls": [CALL, {**CALL, **times}]})
    assert (answer.status_code, answer.json()["fields"][0]["field"]) == (400, f"calls[1].{field}")


def test_whole_seconds_beside_fractions_are_no_contradiction(shared_door: Door) -> None:
    times = {"startedAt": "2026-01-05T10:00:00.9Z", "endedAt": "2026-01-05T10:00:00Z"}
    assert shared_door.ask("POST", "/v3/calls", {**CALL, **times}).status_code == 201


def test_a_silent_call_is_kept_without_an_event(door: Door) -> None:
    single = door.post("/v3/calls?silent=true", CALL)["id"]
    [batched] = door.post("/v3/calls/batch?silent=true", {"calls": [CALL]})["ids"]
    loud = door.post("/v3/calls?silent=false", CALL)["id"]
    assert [each["id"] for each in door.get("/v3/calls")["calls"]] == [loud, batched, single]
    assert [event["subject"] for event in door.get("/v3/events")["events"]] == [loud]
    assert door.ask("POST", "/v3/calls?silent=yes", CALL).json()["fields"][0]["field"] == "silent"


def test_an_idempotency_key_tells_a_silent_call_from_a_loud_one(door: Door) -> None:
    headers = {"Idempotency-Key": "pbx-1"}
    assert door.ask("POST", "/v3/calls?silent=true", CALL, headers=headers).status_code == 201
    assert door.ask("POST", "/v3/calls", CALL, headers=headers).status_code == 422
    assert len(door.get("/v3/calls")["calls"]) == 1


def test_calls_are_sorted_by_when_they_were_reported_either_way(door: Door) -> None:
    ids = door.post("/v3/calls/batch", {"calls": [CALL] * 5})["ids"]
    first = door.get("/v3/calls?sort=asc&limit=3")
    rest = door.get(f"/v3/calls?sort=asc&cursor={first['next']}")
    assert [each["id"] for each in first["calls"] + rest["calls"]] == ids
    assert rest["next"] is None
    assert [each["id"] for each in door.get("/v3/calls?sort=desc")["calls"]] == ids[::-1]
    assert door.ask("GET", "/v3/calls?sort=upwards").json()["fields"][0]["field"] == "sort"


def test_a_list_comes_in_pages_that_leave_nothing_out_and_repeat_nothing(door: Door) -> None:
    ids = door.post("/v3/calls/batch", {"calls": [CALL] * 60})["ids"]
    first = door.get("/v3/calls")
    assert len(first["calls"]) == 50
    rest = door.get(f"/v3/calls?cursor={first['next']}&limit=200")
    assert [each["id"] for each in first["calls"] + rest["calls"]] == ids[::-1]
    assert rest["next"] is None
    assert door.get("/v3/calls?limit=60")["next"] is None


def test_what_is_no_call_is_not_found(shared_door: Door) -> None:
    answer = shared_door.ask("GET", "/v3/calls/call_01k2j3q4r5s6t7v8w9x0y1z2a3")
    assert (answer.status_code, answer.json()["code"]) == (404, "document_not_found")


def test_international_spellings_are_kept_as_e164(door: Door) -> None:
    known = [each for each in SPELLINGS if each.kind == NumberKind.E164 and read_number(each.spelling).e164]
    calls = [CALL | {"phone_line": LINES[each.home], "phone_number": each.spelling} for each in known]
    ids = door.post("/v3/calls/batch", {"calls": calls})["ids"]
    for id_, each in list(zip(ids, known, strict=True))[::10]:
        assert door.get(f"/v3/calls/{id_}")["call"]["phone_number"] == each.expected


def test_what_is_not_understood_is_refused_and_nothing_is_mended(door: Door) -> None:
    for each in SPELLINGS:
        if each.kind == NumberKind.NOT_UNDERSTOOD:
            call = CALL | {"phone_line": LINES[each.home], "phone_number": each.spelling}
            answer = door.ask("POST", "/v3/calls", call)
            assert (answer.status_code, answer.json()["fields"][0]["field"]) == (400, "phone_number")


@pytest.mark.parametrize("digits", ["112", "116117", "101"])
def test_a_service_is_kept_as_it_was_dialled_and_found_by_it(door: Door, digits: str) -> None:
    id_ = door.post("/v3/calls", CALL | {"phone_number": digits})["id"]
    assert door.get(f"/v3/calls/{id_}")["call"]["phone_number"] == digits
    assert [call["id"] for call in door.get(f"/v3/calls?phoneNumber={digits}")["calls"]] == [id_]
