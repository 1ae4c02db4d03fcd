"""The pages as tests see them: text without code, blocks of code, tables, headings, links."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent.parent
DOCS: Final = ROOT / "docs"
#: Pages of other hands are linked to, and their links are checked with ours.
PAGES: Final = tuple(sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")]))

_FENCE: Final = re.compile(r"^( *)```([^\n]*)\n(.*?)^\1```$", re.DOTALL | re.MULTILINE)
_TITLE: Final = re.compile(r'title="([^"]*)"')
_CODE: Final = re.compile(r"`[^`\n]+`")
_LINK: Final = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_HEADING: Final = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: what kind of code, its title ("" if it has none), the code, and the text up to the next block."""

    kind: str
    title: str
    code: str
    after: str


def page(name: str) -> str:
    """The text of a page below docs/."""
    return (DOCS / name).read_text("utf-8")


def blocks(text: str) -> list[Block]:
    """Every fenced block, in order. Code that is indented with a list is given without that."""
    found = list(_FENCE.finditer(text))
    ends = [match.start() for match in found[1:]] + [len(text)] * bool(found)
    return [
        Block(
            kind=match[2].split(" ")[0],
            title=title[1] if (title := _TITLE.search(match[2])) else "",
            code="".join(line.removeprefix(match[1]) for line in match[3].splitlines(keepends=True)),
            after=text[match.end() : end],
        )
        for match, end in zip(found, ends, strict=True)
    ]


def prose(text: str) -> str:
    """The text without blocks."""
    return _FENCE.sub("", text)


def rows(text: str) -> list[list[str]]:
    """The rows of all tables, cell by cell, without the lines below the heads."""
    lines = [line.strip() for line in prose(text).splitlines() if line.strip().startswith("|")]
    return [
        [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]
        for line in lines
        if not set(line) <= set("|- :")
    ]


def table(text: str, *head: str) -> list[list[str]]:
    """The rows below the head that begins with these cells, of every such table."""
    found: list[list[str]] = []
    is_inside = False
    for line in prose(text).splitlines():
        if not line.strip().startswith("|"):
            is_inside = False
            continue
        [cells] = rows(line) or [[]]
        if cells[: len(head)] == list(head):
            is_inside = True
        elif is_inside and cells:
            found.append(cells)
    return found


def plain(cell: str) -> str:
    """A cell without the marks of code."""
    return cell.removeprefix("`").removesuffix("`")


def section(text: str, heading: str) -> str:
    """What is below a heading, up to the next of the same or a higher level."""
    match = re.search(rf"^(#+) {re.escape(heading)}$", text, re.MULTILINE)
    assert match, f"There is no heading {heading!r}."
    rest = text[match.end() :]
    end = re.search(rf"^#{{1,{len(match[1])}}} ", _without_code(rest), re.MULTILINE)
    return rest[: end.start()] if end else rest


def anchors(text: str) -> set[str]:
    """What a link may name behind `#`: headings as GitHub and others spell them."""
    found: set[str] = set()
    for heading in _HEADING.findall(_without_code(text)):
        bare = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower()).strip().replace(" ", "-")
        found.add(bare)
    return found


def links(text: str) -> Iterator[str]:
    """Where the links of a page lead."""
    yield from _LINK.findall(_CODE.sub("", prose(text)))


def _without_code(text: str) -> str:
    """The same text, with the code in blocks blanked, so that positions stay."""
    return _FENCE.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)
