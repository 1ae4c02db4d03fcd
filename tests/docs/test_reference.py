"""The reference says what the code does: nothing is missing in it, and nothing is made up."""

import json
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import pytest

import hookline
from hookline import errors, receiver
from hookline.adapters.http_answer import CLOSED_BEFORE
from hookline.adapters.sql.records import CUT_SHORT
from hookline.api.app import _STATUS, ROUTES
from hookline.api.routes import Route
from hookline.domain.backoff import BREVO, MAX_RETRIES, MAX_WAIT_SECONDS, STANDARD, RetryPolicy
from hookline.domain.deliveries import MOVES, State
from hookline.domain.events import FIRED_WHEN, PAYLOADS, SAMPLES, CallType, EventKind, Rule, canonical_bytes, plain
from hookline.domain.keys import Scope
from hookline.settings import ALL, CONFIG, load_settings
from tests.docs import pages

SRC = Path(hookline.__file__).parent


# Settings


def test_every_setting_is_on_its_page_with_default_and_meaning_and_no_other() -> None:
    told = pages.table(pages.page("reference/settings.md"), "name", "default", "meaning")
    assert [(pages.plain(name), pages.plain(default), meaning) for name, default, meaning in told][:-1] == [
        (setting.name, setting.default or "none", setting.meaning) for setting in ALL
    ]
    assert pages.plain(told[-1][0]) == CONFIG


def test_the_form_of_every_setting_is_told() -> None:
    told = [pages.plain(row[0]) for row in pages.table(pages.page("reference/settings.md"), "name", "form")]
    assert told == [setting.name for setting in ALL]


def test_the_file_of_settings_on_the_page_can_be_read(tmp_path: Path) -> None:
    [block] = [block for block in pages.blocks(pages.page("reference/settings.md")) if block.kind == "toml"]
    (tmp_path / "hookline.toml").write_text(block.code, "utf-8")
    assert load_settings({CONFIG: str(tmp_path / "hookline.toml")}).retention_days == 90


def test_every_setting_that_any_page_names_exists() -> None:
    known = {setting.name for setting in ALL} | {CONFIG}
    for page in pages.PAGES:
        named = set(re.findall(r"\bHOOKLINE_[A-Z_]+\b", page.read_text("utf-8")))
        assert {name for name in named if not name.startswith("HOOKLINE_TEST_")} <= known, page.name


def test_the_settings_of_the_service_can_be_read(tmp_path: Path) -> None:
    [block] = [block for block in pages.blocks(pages.page("how-to/run-with-systemd.md")) if block.kind == "toml"]
    (tmp_path / "hookline.toml").write_text(block.code, "utf-8")
    settings = load_settings({CONFIG: str(tmp_path / "hookline.toml")})
    unit = (pages.ROOT / "deploy" / "hookline.service").read_text("utf-8")
    assert isinstance(settings.database, Path)
    assert f"WorkingDirectory={settings.database.parent}\n" in unit
    assert f"LoadCredential=hookline.toml:{block.title}\n" in unit


# Errors


def codes_in_src() -> set[str]:
    """Every code that is written in src: `code="..."`, `code: str = "..."`, `"code":"..."` of ready answers, and what
    `Refused` is made with.
    """
    written = re.compile(r'''\bcode(?:: str)? ?= ?"(\w+)"|"code": ?"(\w+)"|\bRefused\(\w+, "(\w+)"''')
    return {
        match[1] or match[2] or match[3]
        for file in SRC.rglob("*.py")
        for match in written.finditer(file.read_text("utf-8"))
    }


def test_every_code_of_an_error_is_on_its_page_and_no_other() -> None:
    told = [pages.plain(row[0]) for row in pages.table(pages.page("reference/errors.md"), "code", "status")]
    assert len(told) == len(set(told))
    assert set(told) == codes_in_src()


def test_every_code_stands_beside_the_status_that_is_sent_with_it() -> None:
    told = {
        pages.plain(row[0]): int(row[1]) for row in pages.table(pages.page("reference/errors.md"), "code", "status")
    }
    sent = {
        "missing_parameter": errors.MissingField("x"),
        "invalid_parameter": errors.Invalid("x"),
        "out_of_range": errors.Invalid("x", code="out_of_range"),
        "bad_request": errors.Invalid("x", code="bad_request"),
        "unauthorized": errors.Unauthorized("x"),
        "permission_denied": errors.PermissionDenied("x"),
        "document_not_found": errors.NotFound("x"),
        "method_not_allowed": errors.MethodNotAllowed("x", allowed=["GET"]),
        "meeting_already_started": errors.Conflict("x", code="meeting_already_started"),
        "meeting_cancelled": errors.Conflict("x", code="meeting_cancelled"),
        "payload_too_large": errors.TooLarge("x"),
        "idempotency_mismatch": errors.IdempotencyMismatch("x"),
        "unavailable": errors.Unavailable("x"),
    }
    assert all(refusal.code == code for code, refusal in sent.items())
    of_http = {"request_timeout": 408, "expectation_failed": 417, "headers_too_large": 431, "not_implemented": 501}
    assert told == {code: _STATUS[refusal.kind] for code, refusal in sent.items()} | {"internal_error": 500} | of_http


# Events


def attributes(kind: Any, before: str = "") -> Iterator[tuple[str, str]]:
    """Path and meaning of every attribute of a payload, as its class says."""
    for name, annotated in get_type_hints(kind, include_extras=True).items():
        shape, rule = get_args(annotated)
        assert isinstance(rule, Rule)
        yield before + name, rule.doc
        item = get_args(shape)[0] if get_origin(shape) is tuple else shape
        if is_dataclass(item):
            yield from attributes(item, before + name + ("[]." if item is not shape else "."))


def test_every_event_is_on_its_page_with_when_it_happens() -> None:
    told = dict(pages.table(pages.page("reference/events.md"), "event", "when it happens"))
    assert told == {f"`{kind}`": when for kind, when in FIRED_WHEN.items()}


@pytest.mark.parametrize(
    ("heading", "kind"),
    [("The three meeting events", EventKind.MEETING_BOOKED), ("Call finished", EventKind.CALL_FINISHED)],
)
def test_every_attribute_is_on_the_page_with_its_meaning(heading: str, kind: EventKind) -> None:
    text = pages.section(pages.page("reference/events.md"), heading)
    told = [(pages.plain(row[0]), row[2]) for row in pages.table(text, "attribute", "JSON", "meaning")]
    assert told == list(attributes(PAYLOADS[kind]))


def test_every_type_of_call_is_on_the_page() -> None:
    told = [pages.plain(row[0]) for row in pages.table(pages.page("reference/events.md"), "`type`")]
    assert told == [kind.value for kind in CallType]


def test_the_samples_on_the_page_are_those_that_are_sent() -> None:
    shown = {block.title: block.code for block in pages.blocks(pages.page("reference/events.md"))}
    for title, code in shown.items():
        if title.startswith("the bytes of "):
            assert code.strip().encode() == canonical_bytes(SAMPLES[EventKind(title.removeprefix("the bytes of "))])
        else:
            for name in title.split(", "):
                assert json.loads(code) == plain(SAMPLES[EventKind(name)])
    assert {name for title in shown for name in title.split(", ")} > {kind.value for kind in EventKind}


# Delivery


def test_every_retry_policy_is_on_its_page_with_its_waits() -> None:
    told = {
        pages.plain(row[0]): row for row in pages.table(pages.page("reference/delivery.md"), "policy", "attempts at")
    }
    assert told.keys() == {"standard", "brevo", "your own"}
    for policy in (STANDARD, BREVO):
        assert tuple(int(wait) for wait in told[policy.name][2].split(", ")) == policy.waits_seconds
        assert spoken(policy) == told[policy.name][1]
        assert ("longer" in told[policy.name][3]) == policy.jitter
    assert told["your own"][2] == f"0 to {MAX_RETRIES} waits of 0 to {MAX_WAIT_SECONDS}"


def spoken(policy: RetryPolicy) -> str:
    def word(seconds: int) -> str:
        for size, unit in ((3600, "h"), (60, "min")):
            if seconds % size == 0:
                return f"{seconds // size} {unit}"
        return f"{seconds} s"

    return f"at once, then {', '.join(word(wait) for wait in policy.waits_seconds)}, each after the one before"


def test_every_state_is_on_its_page() -> None:
    told = [pages.plain(row[0]) for row in pages.table(pages.page("reference/delivery.md"), "`status`")]
    assert told == [state.value for state in State]


def test_the_table_and_the_drawing_of_the_moves_are_those_of_the_code() -> None:
    text = pages.page("explanation/delivery-states.md")
    moves = {(old.value, signal.value, new.value) for (old, signal), new in MOVES.items()}
    told = [tuple(pages.plain(cell) for cell in row[:3]) for row in pages.table(text, "from", "signal", "to")]
    assert len(told) == len(moves)
    assert set(told) == moves
    [drawing] = [block.code for block in pages.blocks(text) if block.kind == "mermaid"]
    drawn = re.findall(r"^ *(\w+) --> (\w+) : (\w+)$", drawing, re.MULTILINE)
    assert len(drawn) == len(moves)
    assert {(old, signal, new) for old, new, signal in drawn} == moves


def test_the_errors_of_attempts_on_the_page_are_those_that_are_recorded() -> None:
    told = [pages.plain(row[0]) for row in pages.table(pages.page("how-to/find-out-what-was-sent.md"), "`error`")]
    assert CUT_SHORT in told
    assert CLOSED_BEFORE in told


# The API


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
def test_every_route_is_on_its_page_with_scope_and_parameters(route: Route) -> None:
    text = pages.section(pages.page("reference/api.md"), f"`{route.method} {route.path}`")
    scopes = re.search(r"Scope:\s(`\w+`(?: or `\w+`)*)\.", " ".join(text.split()))
    assert scopes, "Its scope is not told."
    assert {Scope(pages.plain(name)) for name in scopes[1].split(" or ")} == route.scopes
    told = {pages.plain(name) for row in pages.table(text, "parameter", "meaning") for name in row[0].split(", ")}
    assert told == set(route.query)


def test_no_route_on_the_page_is_made_up() -> None:
    told = re.findall(r"^### `(\w+) (\S+)`$", pages.page("reference/api.md"), re.MULTILINE)
    assert len(told) == len(ROUTES)
    assert set(told) == {(route.method, route.path) for route in ROUTES}


def test_every_path_that_any_page_names_exists() -> None:
    shapes = {re.sub(r"{\w+}", "{}", route.path) for route in ROUTES} | {"/exports/{}.csv"}
    for page in pages.PAGES:
        text = re.sub(r"(?<=/v3)(/participants|/contacts)/[^\s`)]+", r"\1/{}", page.read_text("utf-8"))
        for path in re.findall(r"/v3((?:/[\w{}.-]+)+)", text):
            shape = re.sub(r"(?<=/)(\d+|{\w+}|[a-z]{3,4}_\w+)", "{}", path.rstrip("."))
            assert shape in shapes or path.strip("./") == "", f"{page.name}: /v3{path}"


def test_every_scope_of_a_key_is_on_the_page() -> None:
    told = [pages.plain(row[0]) for row in pages.table(pages.page("reference/api.md"), "scope", "may")]
    assert told == [scope.value for scope in Scope]


# The receiver


def test_every_name_of_the_receiver_library_is_on_its_page() -> None:
    text = pages.page("reference/receiver.md")
    assert [name for name in receiver.__all__ if f"`{name}`" not in text and name != "Headers"] == []
    told = [pages.plain(row[0]) for row in pages.table(text, "attribute", "type")]
    assert set(told) == {field.name for field in fields(receiver.Message)} | {"payload"}
