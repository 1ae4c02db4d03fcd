"""Whatever is sent to whichever route, the answer is one that the description promises; and a 500 it never promises."""

import json
from typing import Any, Final
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hookline.api.app import BASE, ROUTES
from hookline.api.examples import BODIES
from hookline.api.routes import Route
from tests.api.door import MEETING, NOWHERE, WEBHOOK, Door

IDS: Final = [f"{route.method} {route.path}" for route in ROUTES]
#: Lone surrogates are among them: JSON can spell them.
TEXTS: Final = st.text(st.characters(), max_size=12) | st.sampled_from(
    ["\0", "\ud800", "meetingBooked", "answered", "bearer", "+441400800008", "2031-05-06T10:00:00Z", "EUR",
     "a@b.example", "http://127.0.0.1:9/", "http://[", "http://%/", "//", "-1", "9" * 30],
)  # fmt: skip
NUMBERS: Final = (
    st.integers() | st.floats(allow_nan=False) | st.sampled_from([2**31, 2**53, 2**63, 2**64, 10**30, -0.0])
)
ANYTHING: Final = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
IGNORED: Final = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
PARAMETERS: Final = [*sorted({name for route in ROUTES for name in route.query}), "x"]


@st.composite
def almost(draw: st.DrawFn, body: Any) -> Any:
    """A body that was right until somebody changed a few things in it, at any depth."""
    if draw(st.integers(0, 9)) == 0:
        return draw(ANYTHING)
    if isinstance(body, dict):
        changed = {key: draw(almost(value)) for key, value in body.items() if draw(st.integers(0, 19))}
        if draw(st.integers(0, 9)) == 0:
            changed |= draw(st.dictionaries(TEXTS, ANYTHING, max_size=2))
        return changed
    if isinstance(body, list):
        return [draw(almost(value)) for value in body for _ in range(draw(st.integers(1, 2)))]
    return body


@pytest.fixture(scope="module")
def meeting(shared_door: Door) -> str:
    """A meeting that is there, and webhook 1."""
    shared_door.post("/v3/webhooks", WEBHOOK)
    id_: str = shared_door.post("/v3/meetings", MEETING)["id"]
    return id_


def path_of(route: Route, meeting: str) -> str:
    return BASE + route.path.replace("{id}", meeting if "meetings" in route.path else "1")


@pytest.mark.parametrize("route", ROUTES, ids=IDS)
@settings(max_examples=40, deadline=None, suppress_health_check=IGNORED, derandomize=True)
@given(draws=st.data())
def test_no_body_and_no_query_makes_anything_fail(
    shared_door: Door, meeting: str, route: Route, draws: st.DataObject
) -> None:
    known = BODIES.get(route.takes, {})
    if "url" in known:
        known = {**known, "url": NOWHERE}
    body = json.dumps(draws.draw(almost(known) | ANYTHING if known else ANYTHING, "body")).encode()
    query = draws.draw(st.dictionaries(st.sampled_from(PARAMETERS), TEXTS.filter(str.isascii), max_size=2), "query")
    answer = shared_door.ask(route.method, path_of(route, meeting), body, params=query)
    assert answer.status_code < 500, answer.text


@pytest.mark.parametrize("route", [route for route in ROUTES if route.takes is not None], ids=lambda each: each.path)
@settings(max_examples=25, deadline=None, suppress_health_check=IGNORED, derandomize=True)
@given(body=st.binary(max_size=60) | st.binary(max_size=20).map(lambda noise: b'{"type":"' + noise + b'"}'))
def test_no_bytes_make_anything_fail(shared_door: Door, meeting: str, route: Route, body: bytes) -> None:
    assert shared_door.ask(route.method, path_of(route, meeting), body).status_code < 500


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH"]),
    path=st.text(st.characters(min_codepoint=1, exclude_categories=["Cs"]), max_size=30),
    query=st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=30),
)
def test_no_path_and_no_raw_query_makes_anything_fail(shared_door: Door, method: str, path: str, query: str) -> None:
    answer = shared_door.ask(method, f"/v3/{quote(path)}?{query.replace('#', '')}", b"{}")
    assert answer.status_code in {200, 400, 404, 405}, answer.text
    listed = shared_door.ask("GET", f"/v3/calls?{query.replace('#', '')}")
    assert listed.status_code in {200, 400}, listed.text
