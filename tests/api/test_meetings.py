"""Meetings through the door: what is booked, moved, edited and cancelled, and the events that tell of it."""

import json
from datetime import timedelta
from typing import Any

import pytest

from hookline.adapters.system_clock import SystemClock
from hookline.domain.events import SAMPLES, EventKind, plain
from hookline.domain.instants import wire_form
from tests.api.door import MEETING, Door

SAMPLE = plain(SAMPLES[EventKind.MEETING_BOOKED])
NEEDED = {
    name: MEETING[name]
    for name in (
        "account_email", "event_participants", "meeting_name", "meeting_start_timestamp", "meeting_end_timestamp",
    )
}  # fmt: skip


def at(**from_now: float) -> str:
    """A time relative to the machine's, since a server in tests has a real clock."""
    return wire_form(SystemClock().now() + timedelta(**from_now))


def told_of(door: Door, meeting: str) -> list[tuple[str, int, Any]]:
    """The events of a meeting: name, sequence and body."""
    events = door.get(f"/v3/events?subject={meeting}")["events"]
    return [(event["event"], event["sequence"], event["payload"]) for event in events]


def test_a_meeting_is_told_of_with_exactly_the_payload_that_was_sent(door: Door) -> None:
    made = door.post("/v3/meetings", MEETING)
    assert list(made) == ["id"]
    assert made["id"].startswith("mtg_")
    assert told_of(door, made["id"]) == [("meetingBooked", 1, MEETING)]
    assert door.get(f"/v3/meetings/{made['id']}")["meeting"] == MEETING


def test_a_meeting_is_shown_with_its_state_and_everything_that_there_is_no_value_for_is_null(door: Door) -> None:
    meeting = door.get(f"/v3/meetings/{door.post('/v3/meetings', MEETING)['id']}")
    assert set(meeting) == {
        "id", "status", "sequence", "createdAt", "modifiedAt", "cancelReason", "meetingTypeId", "hostTimeZone",
        "meeting",
    }  # fmt: skip
    assert (meeting["status"], meeting["sequence"]) == ("booked", 1)
    assert meeting["createdAt"] == meeting["modifiedAt"]
    assert [meeting[name] for name in ("cancelReason", "meetingTypeId", "hostTimeZone")] == [None, None, None]


def test_the_body_of_an_event_has_sorted_keys_no_white_space_and_unescaped_characters(door: Door) -> None:
    id_ = door.post("/v3/meetings", {**MEETING, "meeting_name": "Gespräch ☕", "price": 10})["id"]
    text = door.ask("GET", f"/v3/events?subject={id_}").text
    assert (
        '"payload":{"account_email":"anna@example.com","currency":"EUR","event_participants":[{"EMAIL":"bo@example.com",'
        '"FIRSTNAME":"Bo","LASTNAME":""}],"meeting_address":"","meeting_end_timestamp":"2031-05-06T10:30:00.000Z",'
        '"meeting_location":"https://meet.example/anna","meeting_name":"Gespräch ☕","meeting_notes":"",'
        '"meeting_start_timestamp":"2031-05-06T10:00:00.000Z","price":10,'
        '"questions_and_answers":[{"answer":"Coffee, tea","question":"To drink?"}]}'
    ) in text


def test_what_is_absent_takes_its_empty_value(door: Door) -> None:
    id_ = door.post("/v3/meetings", {**NEEDED, "event_participants": [{"EMAIL": "bo@example.com"}]})["id"]
    assert door.get(f"/v3/meetings/{id_}")["meeting"] == {
        **NEEDED,
        "event_participants": [{"EMAIL": "bo@example.com", "FIRSTNAME": "", "LASTNAME": ""}],
        "currency": "",
        "meeting_address": "",
        "meeting_location": "",
        "meeting_notes": "",
        "price": 0,
        "questions_and_answers": [],
    }


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ({"currency": "eur"}, {"currency": "EUR"}),
        ({"price": 123.0}, {"price": 123}),
        ({"price": 0}, {"price": 0}),
        ({"price": 49.90}, {"price": 49.9}),
        ({"price": 0.1 + 0.2 - 0.3 + 0.07}, None),  # a float artefact: more decimals than EUR has
        ({"price": 500, "currency": "JPY"}, {"price": 500, "currency": "JPY"}),
        ({"price": 1.234, "currency": "BHD"}, {"price": 1.234, "currency": "BHD"}),
        ({"meeting_start_timestamp": "2031-05-06T12:00:00+02:00"}, {}),
        ({"meeting_start_timestamp": "2031-05-06t10:00:00z"}, {}),
        ({"meeting_start_timestamp": "2031-05-06T12:00:00.00099+02:00"}, {}),
        ({"meeting_end_timestamp": "2031-05-06T10:30:00.9999Z"}, {"meeting_end_timestamp": "2031-05-06T10:30:00.999Z"}),
        ({"meeting_end_timestamp": "2031-05-06T10:00:00Z"}, {"meeting_end_timestamp": "2031-05-06T10:00:00.000Z"}),
        ({"meeting_name": "x" * 255}, {"meeting_name": "x" * 255}),
        ({"account_email": "Anna@Büro.example"}, {"account_email": "Anna@Büro.example"}),
    ],
)  # fmt: skip
def test_a_value_has_one_spelling_however_it_was_written(
    shared_door: Door, written: dict[str, Any], kept: dict[str, Any] | None
) -> None:
    answer = shared_door.ask("POST", "/v3/meetings", {**MEETING, **written})
    if kept is None:
        assert answer.status_code == 400
    else:
        meeting = shared_door.get(f"/v3/meetings/{answer.json()['id']}")["meeting"]
        assert meeting == {**MEETING, **kept}
        assert type(meeting["price"]) is type({**MEETING, **kept}["price"])


@pytest.mark.parametrize(
    ("price", "currency", "told"),
    [
        ("1000.0", "JPY", "1000"), ("1.234", "KWD", "1.234"), ("10.5", "HUF", "10.5"), ("0.1", "USD", "0.1"),
        ("49.90", "usd", "49.9"), ("10.0", "ISK", "10"), ("1000.5", "JPY", None), ("49.999", "EUR", None),
        ("1.2345", "KWD", None), ("10.5", "ISK", None), ("5", "ANG", None), ("5", "XCG", "5"),
    ],
)  # fmt: skip
def test_a_price_has_the_decimals_that_its_currency_has(
    shared_door: Door, price: str, currency: str, told: str | None
) -> None:
    body = json.dumps({**MEETING, "currency": currency, "price": "?"}).replace('"?"', price)
    answer = shared_door.ask("POST", "/v3/meetings", body.encode())
    assert answer.status_code == (400 if told is None else 201)
    if told is not None:
        text = shared_door.ask("GET", f"/v3/meetings/{answer.json()['id']}").text
        assert f'"price":{told},' in text


def test_the_start_is_told_once_it_is_reached(door: Door) -> None:
    soon = at(seconds=0.2)
    id_ = door.post("/v3/meetings", {**MEETING, "meeting_start_timestamp": soon})["id"]
    feed = door.once(f"/v3/events?subject={id_}", lambda found: len(found["events"]) == 2)
    booked, started = feed["events"]
    assert (started["event"], started["sequence"], started["occurredAt"]) == ("meetingStarted", 2, soon)
    assert started["payload"] == booked["payload"]
    assert door.get(f"/v3/meetings/{id_}")["status"] == "started"


def test_a_start_that_was_reached_before_it_was_reported_is_told_at_once(door: Door) -> None:
    id_ = door.post(
        "/v3/meetings", {**MEETING, "meeting_start_timestamp": at(hours=-2), "meeting_end_timestamp": at(hours=-1)}
    )["id"]
    door.once(f"/v3/events?subject={id_}", lambda found: len(found["events"]) == 2)
    assert [name for name, _, _ in told_of(door, id_)] == ["meetingBooked", "meetingStarted"]
    assert door.get(f"/v3/meetings/{id_}")["status"] == "ended"


def test_the_sample_of_the_page_is_accepted_and_its_start_of_long_ago_is_of_no_use_to_anybody(door: Door) -> None:
    id_ = door.post("/v3/meetings", SAMPLE)["id"]
    assert told_of(door, id_) == [("meetingBooked", 1, SAMPLE)]


def test_a_cancellation_repeats_what_was_booked_whatever_was_edited_since(door: Door) -> None:
    id_ = door.post("/v3/meetings", MEETING)["id"]
    assert door.ask("PUT", f"/v3/meetings/{id_}", {"meeting_name": "Second thoughts"}).status_code == 204
    assert door.post(f"/v3/meetings/{id_}/cancel", {"reason": "Ill"}) == {"id": id_, "status": "cancelled"}
    assert told_of(door, id_) == [("meetingBooked", 1, MEETING), ("meetingCancelled", 2, MEETING)]
    meeting = door.get(f"/v3/meetings/{id_}")
    assert (meeting["cancelReason"], meeting["meeting"]["meeting_name"]) == ("Ill", "Second thoughts")


def test_a_meeting_is_cancelled_once_however_often_somebody_says_so(door: Door) -> None:
    id_ = door.post("/v3/meetings", MEETING)["id"]
    for _ in range(3):
        assert door.post(f"/v3/meetings/{id_}/cancel") == {"id": id_, "status": "cancelled"}
    assert [name for name, _, _ in told_of(door, id_)] == ["meetingBooked", "meetingCancelled"]


def test_a_cancelled_meeting_does_not_start(door: Door) -> None:
    soon = at(seconds=1)
    gone = door.post("/v3/meetings", {**MEETING, "meeting_start_timestamp": soon})["id"]
    door.post(f"/v3/meetings/{gone}/cancel")
    stays = door.post("/v3/meetings", {**MEETING, "meeting_start_timestamp": soon})["id"]
    door.once(f"/v3/events?subject={stays}", lambda found: len(found["events"]) == 2)
    assert [name for name, _, _ in told_of(door, gone)] == ["meetingBooked", "meetingCancelled"]


@pytest.mark.parametrize("change", ["cancel", "reschedule"])
def test_a_meeting_that_has_started_can_be_neither_cancelled_nor_moved(door: Door, change: str) -> None:
    id_ = door.post("/v3/meetings", {**MEETING, "meeting_start_timestamp": at(minutes=-1)})["id"]
    body = {"meeting_start_timestamp": at(hours=1)} if change == "reschedule" else {}
    answer = door.ask("POST", f"/v3/meetings/{id_}/{change}", body)
    assert (answer.status_code, answer.json()["code"]) == (409, "meeting_already_started")
    door.once(f"/v3/events?subject={id_}", lambda found: len(found["events"]) == 2)
    assert [name for name, _, _ in told_of(door, id_)] == ["meetingBooked", "meetingStarted"]


def test_a_cancelled_meeting_can_be_neither_edited_nor_moved(door: Door) -> None:
    id_ = door.post("/v3/meetings", MEETING)["id"]
    door.post(f"/v3/meetings/{id_}/cancel")
    for method, path, body in (
        ("PUT", f"/v3/meetings/{id_}", {"meeting_notes": "x"}),
        ("POST", f"/v3/meetings/{id_}/reschedule", {"meeting_start_timestamp": "2032-01-01T00:00:00Z"}),
    ):
        answer = door.ask(method, path, body)
        assert (answer.status_code, answer.json()["code"]) == (409, "meeting_cancelled")


def test_a_moved_meeting_is_cancelled_at_its_old_time_and_booked_at_the_new_one(door: Door) -> None:
    id_ = door.post("/v3/meetings", MEETING)["id"]
    moved = {
        "meeting_start_timestamp": "2031-05-07T08:00:00.000Z",
        "meeting_end_timestamp": "2031-05-07T09:00:00.000Z",
    }
    assert door.post(f"/v3/meetings/{id_}/reschedule", moved) == {"id": id_, "status": "booked"}
    assert told_of(door, id_) == [
        ("meetingBooked", 1, MEETING),
        ("meetingCancelled", 2, MEETING),
        ("meetingBooked", 3, {**MEETING, **moved}),
    ]
    assert door.get(f"/v3/meetings/{id_}")["sequence"] == 3


def test_a_moved_meeting_stays_as_long_as_it_was_unless_an_end_is_given(door: Door) -> None:
    id_ = door.post("/v3/meetings", MEETING)["id"]
    door.post(f"/v3/meetings/{id_}/reschedule", {"meeting_start_timestamp": "2031-05-07T10:00:00+02:00"})
    meeting = door.get(f"/v3/meetings/{id_}")["meeting"]
    assert meeting["meeting_start_timestamp"] == "2031-05-07T08:00:00.000Z"
    assert meeting["meeting_end_timestamp"] == "2031-05-07T08:30:00.000Z"


def test_to_move_a_meeting_to_where_it_is_tells_nobody_anything(door: Door) -> None:
    id_ = door.post("/v3/meetings", MEETING)["id"]
    door.post(f"/v3/meetings/{id_}/reschedule", {"meeting_start_timestamp": "2031-05-06T12:00:00+02:00"})
    same = {name: MEETING[name] for name in ("meeting_start_timestamp", "meeting_end_timestamp")}
    for headers in (None, {"Idempotency-Key": "one"}, {"Idempotency-Key": "one"}, {"Idempotency-Key": "two"}):
        answer = door.ask("POST", f"/v3/meetings/{id_}/reschedule", same, headers=headers)
        assert (answer.status_code, answer.json()) == (200, {"id": id_, "status": "booked"})
    assert [name for name, _, _ in told_of(door, id_)] == ["meetingBooked"]


@pytest.mark.parametrize(
    ("move", "field", "code"),
    [
        ({}, "meeting_start_timestamp", "missing_parameter"),
        ({"meeting_start_timestamp": "2031-05-07T10:00:00"}, "meeting_start_timestamp", "invalid_parameter"),
        (
            {"meeting_start_timestamp": "2031-05-07T10:00:00Z", "meeting_end_timestamp": "2031-05-07T09:00:00Z"},
            "meeting_end_timestamp",
            "invalid_parameter",
        ),
        ({"meeting_start_timestamp": "9998-12-31T23:59:59Z"}, "meeting_end_timestamp", "out_of_range"),
        ({"meeting_start_timestamp": "2031-05-07T10:00:00Z", "reason": "x"}, "reason", "invalid_parameter"),
    ],
)
def test_a_meeting_is_not_moved_to_where_no_meeting_can_be(
    shared_door: Door, move: dict[str, str], field: str, code: str
) -> None:
    id_ = shared_door.post("/v3/meetings", MEETING)["id"]
    before = shared_door.kept()
    answer = shared_door.ask("POST", f"/v3/meetings/{id_}/reschedule", move)
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert [each["field"] for each in answer.json()["fields"]] == [field]
    assert shared_door.kept() == before


def test_an_edit_tells_nobody_and_is_seen_by_the_next_event(door: Door) -> None:
    id_ = door.post("/v3/meetings", MEETING)["id"]
    edit = {
        "meeting_name": "Other name", "meeting_notes": "Note", "meeting_location": "Room 2",
        "meeting_address": "Street 1", "questions_and_answers": [{"question": "Q", "answer": "A"}], "price": 10,
        "currency": "usd", "event_participants": [{"EMAIL": "cy@example.com", "FIRSTNAME": "Cy", "LASTNAME": ""}],
    }  # fmt: skip
    assert door.ask("PUT", f"/v3/meetings/{id_}", edit).status_code == 204
    assert len(told_of(door, id_)) == 1
    door.post(f"/v3/meetings/{id_}/reschedule", {"meeting_start_timestamp": "2031-05-07T10:00:00Z"})
    _, cancelled, booked = told_of(door, id_)
    assert cancelled[2] == MEETING
    assert {name: booked[2][name] for name in edit} == {**edit, "currency": "USD"}


def test_an_edit_changes_only_what_it_names(door: Door) -> None:
    id_ = door.post("/v3/meetings", MEETING)["id"]
    assert door.ask("PUT", f"/v3/meetings/{id_}", {"meeting_notes": "Bring the keys."}).status_code == 204
    assert door.get(f"/v3/meetings/{id_}")["meeting"] == {**MEETING, "meeting_notes": "Bring the keys."}
    assert door.ask("PUT", f"/v3/meetings/{id_}", {}).status_code == 204


@pytest.mark.parametrize(
    ("edit", "field"),
    [
        ({"meeting_name": ""}, "meeting_name"),
        ({"price": 0.001}, "price"),
        ({"currency": "XYZ"}, "currency"),
        ({"currency": ""}, "currency"),  # there is a price, which needs one
        ({"price": -1}, "price"),
        ({"event_participants": []}, "event_participants"),
        ({"event_participants": [{"EMAIL": "anna@example.com"}]}, "event_participants"),
        ({"event_participants": [{"EMAIL": "cy@example.com", "PHONE": ""}]}, "event_participants[0].PHONE"),
        ({"event_participants": [{"EMAIL": "cy"}]}, "event_participants[0].EMAIL"),
        ({"currency": "ANG"}, "currency"),
        ({"meeting_notes": None}, "meeting_notes"),
        ({"meeting_start_timestamp": "2031-05-06T10:00:00Z"}, "meeting_start_timestamp"),
        ({"account_email": "x@example.com"}, "account_email"),
        ({"questions_and_answers": [{"question": "Q", "answer": "A", "id": 1}]}, "questions_and_answers[0].id"),
        ({"meeting_notes": "a\0b"}, "meeting_notes"),
    ],
)
def test_an_edit_that_would_make_it_no_meeting_changes_nothing(
    shared_door: Door, edit: dict[str, Any], field: str
) -> None:
    id_ = shared_door.post("/v3/meetings", MEETING)["id"]
    before = shared_door.get(f"/v3/meetings/{id_}")
    answer = shared_door.ask("PUT", f"/v3/meetings/{id_}", {"meeting_location": "Elsewhere", **edit})
    assert answer.status_code == 400
    assert [each["field"] for each in answer.json()["fields"]] == [field]
    assert shared_door.get(f"/v3/meetings/{id_}") == before


def test_a_batch_is_booked_in_its_order(door: Door) -> None:
    names = [f"Meeting {number}" for number in range(1000)]
    ids = door.post("/v3/meetings/batch", {"meetings": [{**MEETING, "meeting_name": name} for name in names]})["ids"]
    assert len(set(ids)) == 1000
    for index in (0, 499, 999):
        assert door.get(f"/v3/meetings/{ids[index]}")["meeting"]["meeting_name"] == names[index]


def test_a_batch_is_booked_whole_or_not_at_all_and_the_refusal_names_the_place(door: Door) -> None:
    batch = [
        MEETING,
        MEETING,
        {**MEETING, "event_participants": [MEETING["event_participants"][0], {"EMAIL": "nobody"}]},
    ]
    answer = door.ask("POST", "/v3/meetings/batch", {"meetings": batch})
    assert answer.status_code == 400
    assert answer.json()["fields"][0]["field"] == "meetings[2].event_participants[1].EMAIL"
    assert answer.json()["message"].startswith("meetings[2].event_participants[1].EMAIL: ")
    assert door.get("/v3/meetings")["meetings"] == []


@pytest.mark.parametrize("count", [0, 1001])
def test_a_batch_has_1_to_1000_meetings(shared_door: Door, count: int) -> None:
    answer = shared_door.ask("POST", "/v3/meetings/batch", {"meetings": [MEETING] * count})
    assert (answer.status_code, answer.json()["code"]) == (400, "out_of_range")
    assert answer.json()["fields"][0]["field"] == "meetings"


def test_meetings_are_found_by_what_is_asked_for(door: Door) -> None:
    early = door.post("/v3/meetings", {**MEETING, "account_email": "eve@example.com"})["id"]
    late = door.post(
        "/v3/meetings",
        {
            **MEETING,
            "event_participants": [{"EMAIL": "bo@example.com"}, {"EMAIL": "cy@example.com"}],
            "meeting_start_timestamp": "2031-06-01T10:00:00Z",
            "meeting_end_timestamp": "2031-06-01T11:00:00Z",
        },
    )["id"]
    ended = door.post("/v3/meetings", SAMPLE)["id"]
    door.post(f"/v3/meetings/{early}/cancel")

    def found(query: str) -> list[str]:
        return [each["id"] for each in door.get(f"/v3/meetings?{query}")["meetings"]]

    assert found("") == [ended, late, early]
    assert found("status=cancelled") == [early]
    assert found("status=ended") == [ended]
    assert found("status=booked") == [late]
    assert found("status=started") == []
    assert found("accountEmail=eve@example.com") == [early]
    assert found("participant=cy%40example.com") == [late]
    assert found("from=2031-05-06T12:00:00+02:00&to=2031-06-01T10:00:00Z") == [early]
    assert found("from=2031-06-01T10:00:00Z") == [late]
    assert found("from=2031-06-01T10:00:00.000001Z") == []


def test_a_list_comes_in_pages_that_leave_nothing_out_and_repeat_nothing(door: Door) -> None:
    ids = door.post("/v3/meetings/batch", {"meetings": [MEETING] * 7})["ids"]
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = door.get(f"/v3/meetings?limit=3&cursor={cursor}")
        door.post("/v3/meetings", MEETING)  # who reads a list is not disturbed by what is booked meanwhile
        seen += [each["id"] for each in page["meetings"]]
        cursor = page["next"]
    assert seen == ids[::-1]


@pytest.mark.parametrize(
    "id_", ["mtg_0", "call_01k2j3q4r5s6t7v8w9x0y1z2a3", "%00", "%F0%9F%98%80", "x" * 3000, "..", "a%2Fb"]
)
def test_what_is_no_meeting_is_not_found(shared_door: Door, id_: str) -> None:
    for method, path in (("GET", id_), ("PUT", id_), ("POST", f"{id_}/cancel")):
        answer = shared_door.ask(method, f"/v3/meetings/{path}", {} if method != "GET" else None)
        assert (answer.status_code, answer.json()["code"]) == (404, "document_not_found")
