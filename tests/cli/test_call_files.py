"""What stands in a file of calls is read as the API would read it, or refused by the line."""

import csv
import io
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hookline.cli.call_files import COLUMNS, read_calls
from hookline.cli.failed import Failed
from hookline.domain.events import AccountName, CallPayload, CallType

CALL = CallPayload(
    type=CallType.ANSWERED, phone_line="+441400800008", phone_line_name="Front desk", phone_number="+14002007868",
    account_name=AccountName(given_name="John", family_name="Doe"), duration_seconds=123, is_forwarded=True,
    recording=False,
)  # fmt: skip
HEADER = (
    "type,phone_line,phone_line_name,phone_number,account_given_name,account_family_name,duration_seconds,is_forwarded"
)
QUOTED = '"D\n\no\ne"'
ROW = "answered,+44 1400 800008,Front desk,+1 400 200 7868,John,Doe,123,yes"


def file(folder: Path, name: str, text: str | bytes) -> Path:
    place = folder / name
    place.write_bytes(text if isinstance(text, bytes) else text.encode())
    return place


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("calls.csv", f"{HEADER}\n{ROW}\n"),
        ("calls.CSV", f"\ufeff{HEADER}\r\n{ROW}"),
        ("calls.csv", f"{HEADER}\n\n{ROW}\n,,,,,,,\n".replace(",", ";")),
        ("calls.json", b"[" + msgspec.json.encode(CALL) + b"]"),
        ("calls.json", b' {"calls": [' + msgspec.json.encode(CALL) + b"]}"),
        ("calls.jsonl", b"\n" + msgspec.json.encode(CALL) + b"\r\n"),
    ],
)
def test_every_form_says_the_same(tmp_path: Path, name: str, text: str | bytes) -> None:
    assert read_calls(file(tmp_path, name, text)).calls == (CALL,)


@pytest.mark.parametrize("name", ["calls.csv", "calls.json", "calls.jsonl"])
def test_a_file_may_hold_no_call(tmp_path: Path, name: str) -> None:
    text = {"calls.csv": HEADER, "calls.json": "[]", "calls.jsonl": ""}[name]
    assert read_calls(file(tmp_path, name, text)).calls == ()


def test_what_is_empty_is_as_if_it_were_not_there(tmp_path: Path) -> None:
    row = f"missed,+441400800008{',' * (len(COLUMNS) - 2)}"
    header = ",".join(["type", "phone_line", *(name for name in COLUMNS if name not in ("type", "phone_line"))])
    [call] = read_calls(file(tmp_path, "calls.csv", f"{header}\n{row}")).calls
    assert call == CallPayload(type=CallType.MISSED, phone_line="+441400800008", phone_number="")


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("c.csv", f"{HEADER}\n{ROW}\n{ROW},more", "line 3: expected 8 columns, got 9."),
        ("c.csv", f"{HEADER}\n\n{ROW.replace('answered', 'taken')}", "line 3: type: expected one of answered"),
        ("c.csv", f"{HEADER}\n{ROW.replace('Doe', QUOTED)}\n{ROW.replace('123', '1:23')}",
         "line 6: duration_seconds: expected a whole number, got text."),
        ("c.csv", f"{HEADER}\n{ROW.replace('yes', 'perhaps')}", "line 2: is_forwarded: expected true or false, got"),
        ("c.csv", f"{HEADER}\n{ROW.replace('answered', 'missed')}", "line 2: duration_seconds: expected 0 for a call"),
        ("c.csv", f"{HEADER}\n{ROW.replace('+1 400', '400')}", "line 2: phone_number: expected a phone number with"),
        ("c.csv", f"{HEADER}\n{ROW.replace('123', '9' * 30)}", "line 2: duration_seconds: expected a whole number"),
        ("c.csv", f'{HEADER}\n{ROW}\n"answered', "line 3: unexpected end of data."),
        ("c.csv", f"{HEADER},colour\n{ROW},red", "line 1: there is no column 'colour'."),
        ("c.csv", f"{HEADER},type\n{ROW},missed", "line 1: the column 'type' is there twice."),
        ("c.csv", "type,phone_line\nmissed,+441400800008", "line 1: the column 'phone_number' is needed."),
        ("c.csv", "", "line 1: the column 'phone_line' is needed."),
        ("c.csv", b"\xff\xfe", "it is not UTF-8."),
        ("c.json", "{}", "it is no list of calls"),
        ("c.json", '{"calls": [], "more": 1}', "it is no list of calls"),
        ("c.json", "[" * 10_000, "it is no list of calls"),
        ("c.json", "[5]", "call 1: The body: expected a JSON object, got a number."),
        ("c.json", '[{"type": "missed"}]', "call 1: phone_line: is needed."),
        ("c.jsonl", '\n{"type": "missed"', "line 2: The body is not JSON"),
        ("c.jsonl", '{"type": "missed", "colour": "red"}', "line 1: colour: there is no such key here."),
        ("c.jsonl", '{"type": "missed\\ud800"}', "line 1: type: holds half of a surrogate pair"),
    ],
)  # fmt: skip
def test_what_is_no_call_is_refused_by_its_place(tmp_path: Path, name: str, text: str | bytes, told: str) -> None:
    with pytest.raises(Failed) as refusal:
        read_calls(file(tmp_path, name, text))
    assert told in str(refusal.value)


def test_all_bad_rows_are_counted_and_the_first_are_named(tmp_path: Path) -> None:
    with pytest.raises(Failed) as refusal:
        read_calls(file(tmp_path, "c.csv", "\n".join([HEADER, *["x,,,,,,,"] * 25])))
    told = str(refusal.value).splitlines()
    assert told[0].endswith("25 rows are no call, so nothing was sent.")
    assert [line.partition(":")[0] for line in told[1:]] == [*(f"line {n}" for n in range(2, 22)), "and 5 more"]


WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12).map(str.strip)
CALLS = st.builds(
    CallPayload,
    type=st.just(CallType.CONNECTED), phone_line=st.just("+441400800008"), phone_line_name=WORDS,
    phone_number=st.sampled_from(["", "+14002007868"]), duration_seconds=st.integers(0, 2**31 - 1),
    account_name=st.builds(AccountName, given_name=WORDS, family_name=WORDS), is_forwarded=st.booleans(),
    recording=st.booleans(),
)  # fmt: skip


@given(st.lists(CALLS, max_size=5), st.sampled_from([",", ";"]), st.permutations(COLUMNS))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_written_is_read(tmp_path: Path, calls: list[CallPayload], comma: str, columns: list[str]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, delimiter=comma)
    writer.writerows([columns, *([_cell(call, name) for name in columns] for call in calls)])
    assert list(read_calls(file(tmp_path, "c.csv", text.getvalue())).calls) == calls


def _cell(call: CallPayload, column: str) -> Any:
    if column.startswith("account_"):
        return getattr(call.account_name, column.removeprefix("account_"))
    return getattr(call, column)
