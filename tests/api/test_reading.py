"""Bodies that are too long to be told all their faults: their first one is told as that of a short one."""

import json
from typing import Any, Final

import pytest

from hookline.api.calls import CallBatch, CallReport
from hookline.api.meetings import MeetingBatch
from hookline.api.reading import read_json
from hookline.domain.events import MeetingPayload
from hookline.errors import Invalid
from tests.api.door import CALL, MEETING
from tests.api.test_bad_input import TYPES, WRONG_TYPES, changed, places

#: Makes a body long without being of it.
SPACE: Final = b" " * 30_000
SHAPES: Final[dict[str, Any]] = {"/v3/meetings": MeetingPayload, "/v3/calls": CallReport}
WHOLE: Final = {"/v3/meetings": MEETING, "/v3/calls": CALL}


def refusal(body: bytes, shape: Any) -> tuple[str, str, str, str | None]:
    """Message, code, hint and first field."""
    with pytest.raises(Invalid) as caught:
        read_json(body, shape)
    refused = caught.value
    return refused.message, refused.code, refused.hint, refused.fields[0].field if refused.fields else None


@pytest.mark.parametrize(("path", "place", "name"), [each for each in WRONG_TYPES if each[0] in SHAPES], ids=str)
def test_a_wrong_value_in_a_long_body_is_refused_as_in_a_short_one(
    path: str, place: tuple[str | int, ...], name: str
) -> None:
    body = json.dumps(changed(WHOLE[path], place, TYPES[name])).encode()
    try:
        short = read_json(body, SHAPES[path])
    except Invalid:
        assert refusal(body + SPACE, SHAPES[path]) == refusal(body, SHAPES[path])
    else:  # refused by a rule later
        assert read_json(body + SPACE, SHAPES[path]) == short


@pytest.mark.parametrize("path", SHAPES)
def test_an_unknown_key_anywhere_in_a_long_body_is_refused_by_name(path: str) -> None:
    whole = WHOLE[path]
    objects = [(), *(place for place in places(whole) if isinstance(_at(whole, place), dict))]
    assert len(objects) > 1
    for place in objects:
        for key in ("x", "", "a`b", "$.y"):
            body = json.dumps(changed({"": whole}, ("", *place, key), 1)[""]).encode()
            assert refusal(body + SPACE, SHAPES[path]) == refusal(body, SHAPES[path])


@pytest.mark.parametrize("body", [b"[]", b'"x"', b"1", b"null", b"{", b"\xef\xbb\xbf{}", b"[" * 5000])
@pytest.mark.parametrize("shape", [MeetingPayload, CallReport, MeetingBatch, CallBatch])
def test_what_is_no_object_is_refused_as_in_a_short_body(body: bytes, shape: Any) -> None:
    long = body + SPACE
    assert refusal(long, shape)[1:] == ("bad_request", "", None)
    if body != b"[" * 5000:
        assert refusal(long, shape)[0].split(":")[0] == refusal(body, shape)[0].split(":")[0]


def test_long_bodies_are_read_as_short_ones() -> None:
    for body, shape in (
        (MEETING, MeetingPayload),
        (CALL, CallReport),
        ({"meetings": [MEETING] * 3}, MeetingBatch),
        ({"calls": [CALL] * 3}, CallBatch),
    ):
        written = json.dumps(body).encode()
        assert read_json(written + SPACE, shape) == read_json(written, shape)


def _at(value: Any, place: tuple[str | int, ...]) -> Any:
    for key in place:
        value = value[key]
    return value
