"""What holds for every page, and for every file of the repository."""

import html
import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import unquote

import pytest

from hookline import __version__
from hookline.api.examples import BODIES
from hookline.api.openapi import openapi_document
from hookline.api.reference import reference_page, welcome_page
from hookline.cli.demo import NEXT_STEPS
from tests.docs import pages

#: Put together from halves, so that this file does not match itself.
_NOT_OURS: Final = tuple(
    re.compile(first + second)
    for first, second in (
        (r"/ho", r"me/[a-z]"),
        (r"/ro", r"ot/"),
        (r"/wor", r"k/"),
        (r"/Use", r"rs/"),
        (r"(?i)\bcla", r"ude\b"),
        (r"(?i)\banth", r"ropic\b"),
        (r"(?i)\bco-auth", r"ored-by\b"),
        (r"(?i)\bTO", r"DO\b(?!\.)"),
        (r"(?i)\bFIX", r"ME\b"),
        (r"(?i)\bpypi\.", r"(?!org\b)"),
        (r"(?i)\bindex-", r"url\b"),
    )
)

#: Not there in this version; only the list of what is not there names them.
_ABSENT: Final = re.compile(r"\bdashboard|\bhookline listen\b", re.IGNORECASE)


def relative_links() -> Iterator[tuple[Path, str]]:
    for page in pages.PAGES:
        for link in pages.links(page.read_text("utf-8")):
            if not re.match(r"[a-z]+:", link):
                yield page, link


def leads_somewhere(page: Path, link: str) -> bool:
    path, _, anchor = unquote(link).partition("#")
    target = (page.parent / path).resolve() if path else page
    if not target.is_relative_to(pages.ROOT) or not target.exists():
        return False
    return not anchor or anchor in pages.anchors(target.read_text("utf-8"))


def test_every_link_leads_somewhere() -> None:
    assert [f"{page.name}: {link}" for page, link in relative_links() if not leads_somewhere(page, link)] == []


def test_every_page_can_be_reached_from_the_index() -> None:
    reached, waiting = set(), [pages.DOCS / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached:
            reached.add(page)
            links = [link.partition("#")[0] for link in pages.links(page.read_text("utf-8"))]
            waiting += [(page.parent / link).resolve() for link in links if link.endswith(".md") and ":" not in link]
    assert sorted(set(pages.DOCS.rglob("*.md")) - reached) == []


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: page.relative_to(pages.ROOT).as_posix())
def test_every_program_is_python(page: Path) -> None:
    for block in pages.blocks(page.read_text("utf-8")):
        if block.kind == "python" and not block.code.startswith((">>>", "Receiver(*")):
            compile(block.code, f"{page.name}: {block.title}", "exec")


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: page.relative_to(pages.ROOT).as_posix())
def test_every_page_has_one_title_and_blocks_of_a_kind(page: Path) -> None:
    text = page.read_text("utf-8")
    assert len(re.findall(r"^# ", pages.prose(text), re.MULTILINE)) == 1
    assert text.count("```") == 2 * len(pages.blocks(text))


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: page.relative_to(pages.ROOT).as_posix())
def test_no_page_tells_to_use_what_is_not_there(page: Path) -> None:
    text = page.read_text("utf-8")
    assert _ABSENT.findall(_without_what_is_absent(text)) == []


def test_nothing_that_the_program_shows_tells_to_use_what_is_not_there() -> None:
    document = openapi_document("http://127.0.0.1:8000")
    examples = json.dumps(list(BODIES.values()))
    for shown in (examples, welcome_page(document), reference_page(document), NEXT_STEPS):
        text = html.unescape(re.sub(r"<[^>]+>", "", shown))
        assert _ABSENT.findall(text) == []


def _without_what_is_absent(text: str) -> str:
    """Without the section on it, and without rows of tables that say of it "not yet"."""
    heading = "What is not there yet"
    text = text.replace(pages.section(text, heading), "") if f"## {heading}" in text else text
    return re.sub(r"^\|.*\| not yet \|.*$", "", text, flags=re.MULTILINE)


def test_every_library_is_on_its_page_with_a_reason() -> None:
    project = tomllib.loads((pages.ROOT / "pyproject.toml").read_text("utf-8"))
    groups = project["dependency-groups"].values()
    asked = [
        *project["project"]["dependencies"],
        *(each for group in groups for each in group if isinstance(each, str)),
    ]
    names = {re.split(r"[\[<>=~! ]", requirement)[0] for requirement in asked}
    told = {
        pages.plain(name)
        for row in pages.table(pages.page("explanation/dependencies.md"), "library", "for")
        for name in row[0].split(", ")
    }
    assert names == told


def test_the_change_log_knows_this_version() -> None:
    assert f"## {__version__}" in (pages.ROOT / "CHANGELOG.md").read_text("utf-8")


def test_every_decision_is_in_the_index_under_its_title() -> None:
    decisions = sorted((pages.DOCS / "decisions").glob("0*.md"))
    index = pages.page("decisions/README.md")
    for decision in decisions:
        title = decision.read_text("utf-8").splitlines()[0].removeprefix("# ")
        number, _, name = title.partition(". ")
        assert f"{number}. [{name}]({decision.name})" in index
        assert decision.name.startswith(f"{int(number):04}-")


def test_no_file_knows_the_machine_or_the_workshop_it_was_made_in() -> None:
    listed = subprocess.run(["git", "ls-files"], cwd=pages.ROOT, capture_output=True, text=True, check=True).stdout
    found = []
    for name in listed.splitlines():
        file = pages.ROOT / name
        if not file.is_file():
            continue
        text = file.read_text("utf-8", "replace")
        found += [f"{name}: {match[0]}" for pattern in _NOT_OURS for match in pattern.finditer(text)]
    assert found == []
