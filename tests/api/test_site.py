"""What a server answers beside its API: whether it is well, and its pages."""

import re
import sqlite3
from contextlib import closing
from html.parser import HTMLParser
from typing import Any, Final

import pytest

from hookline import __version__
from hookline.api.markup import Html, coloured_json, join, prose, tag
from hookline.api.openapi import openapi_document
from hookline.api.reference import reference_page, welcome_page
from hookline.domain.events import EventKind
from tests.api.description import document
from tests.api.door import Door

#: Elements that have no end.
_EMPTY: Final = {"meta", "hr", "br"}


class Page(HTMLParser):
    """A page as a browser reads it; elements that are not closed as they were opened are a mistake."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.elements.add(tag)
        self.attributes |= set(given)
        self.ids += [str(given["id"])] if "id" in given else []
        self.links += [str(given["href"])] if "href" in given else []
        if tag not in _EMPTY:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_server_says_that_it_is_up_and_ready(shared_door: Door) -> None:
    assert shared_door.get("/healthz", scope="") == {"status": "up"}
    assert shared_door.get("/readyz", scope="") == {"status": "ready", "problems": []}


def test_a_server_that_cannot_read_its_store_is_up_but_not_ready(sqlite_door: Door) -> None:
    with closing(sqlite3.connect(sqlite_door.file)) as other:
        other.execute("ALTER TABLE timer RENAME TO lost")
        answer = sqlite_door.ask("GET", "/readyz", scope="")
        assert (answer.status_code, answer.json()["status"]) == (503, "not ready")
        assert answer.json()["problems"]
        assert sqlite_door.get("/healthz", scope="") == {"status": "up"}
        other.execute("ALTER TABLE lost RENAME TO timer")
    sqlite_door.once(
        "/readyz", lambda found: found["status"] == "ready"
    )  # a loop that met it is begun anew a moment later


def test_a_server_whose_store_takes_no_writes_is_not_ready_although_it_reads(sqlite_door: Door) -> None:
    with closing(sqlite3.connect(sqlite_door.file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        answer = sqlite_door.ask("GET", "/readyz", scope="")
        assert answer.status_code == 503
        assert answer.json()["problems"] == ["The database hookline.db cannot be used now: database is locked."]
        assert sqlite_door.get("/v3/calls")["calls"] == []
        other.execute("ROLLBACK")
    sqlite_door.once("/readyz", lambda found: found["status"] == "ready")


@pytest.mark.parametrize("path", ["/nothing", "/favicon.ico", "/docs/nothing", "/v3"])
def test_what_is_nowhere_is_not_found(shared_door: Door, path: str) -> None:
    answer = shared_door.ask("GET", path, scope="")
    assert (answer.status_code, answer.json()["code"]) == (404, "document_not_found")


@pytest.mark.parametrize("path", ["/", "/docs", "/healthz", "/readyz", "/openapi.json"])
def test_pages_are_for_reading(shared_door: Door, path: str) -> None:
    answer = shared_door.ask("POST", path, b"{}", scope="")
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert "GET" in answer.headers["allow"]
    assert shared_door.ask("HEAD", path, scope="").status_code == 200


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_needs_no_script_and_nothing_from_anywhere(shared_door: Door, path: str) -> None:
    answer = shared_door.ask("GET", path, scope="")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "script" not in policy
    page = Page(answer.text)
    assert not page.elements & {"script", "img", "iframe", "link", "object", "form"}
    assert not page.attributes & {"src", "style", "onclick", "onload"}
    assert "@import" not in answer.text
    assert "url(" not in answer.text


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_every_link_leads_somewhere(shared_door: Door, path: str) -> None:
    page = Page(shared_door.ask("GET", path, scope="").text)
    assert len(page.ids) == len(set(page.ids))
    for link in page.links:
        if link.startswith("#"):
            assert link[1:] in page.ids, link
        else:
            assert shared_door.ask("GET", "/" + link.removeprefix("./"), scope="").status_code == 200, link


def test_the_first_page_says_what_answers_here_and_where_to_go_on(shared_door: Door) -> None:
    page = Page(shared_door.ask("GET", "/", scope="").text)
    assert {"docs", "openapi.json", "healthz"} <= set(page.links)
    for said in ("Hookline", __version__, "signed webhooks", f"{shared_door.settings.public_url}/v3"):
        assert said in page.text


def test_the_reference_explains_every_operation_field_header_and_event() -> None:
    page = Page(reference_page(document()))
    for path, methods in document()["paths"].items():
        for operation in methods.values():
            assert operation["operationId"] in page.ids
            assert operation["summary"].replace("`", "") in page.text
            assert path in page.text
            for parameter in operation.get("parameters", ()):
                assert parameter.get("name", "Idempotency-Key") in page.text
    for kind in EventKind:
        assert kind.value in page.ids
    for parameter in document()["webhooks"]["meetingBooked"]["post"]["parameters"]:
        assert parameter["name"] in page.text
    schemas = document()["components"]["schemas"].values()
    assert [name for schema in schemas for name in schema.get("properties", {}) if name not in page.text] == []
    for code in document()["components"]["schemas"]["Refusal"]["properties"]["code"]["enum"]:
        assert code in page.text


def test_a_reference_of_another_server_names_that_server() -> None:
    url = "https://hooks.example.com/base"
    for page in (reference_page(openapi_document(url)), welcome_page(openapi_document(url))):
        assert f"{url}/v3" in page
        assert not re.search(r'href="/', page)  # links hold below any path


def test_text_never_becomes_markup() -> None:
    nasty: Any = "<script>alert('&')</script>"
    assert join(nasty) == "&lt;script&gt;alert(&#x27;&amp;&#x27;)&lt;/script&gt;"
    assert tag("a", nasty, href='"><script>') == f'<a href="&quot;&gt;&lt;script&gt;">{join(nasty)}</a>'
    assert prose("a `<b>` c") == "a <code>&lt;b&gt;</code> c"
    assert coloured_json('["</pre>"]') == '[<span class="json-string">&quot;&lt;/pre&gt;&quot;</span>]'
    assert isinstance(join(tag("p", "x"), "y"), Html)
