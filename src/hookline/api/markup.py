"""HTML that cannot be torn open: text is escaped unless it was made here. And the frame that our pages share."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from html import escape
from importlib import resources
from typing import Any, Final

STYLE: Final = resources.files("hookline.api").joinpath("reference.css").read_text("utf-8")

#: No scripts, and nothing from anywhere else: not even this server is asked for more than the page.
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"
)

_EMPTY_ELEMENTS: Final = frozenset({"meta", "hr", "br"})
_QUOTED: Final = re.compile(r"`([^`]+)`")
_JSON_TOKENS: Final = re.compile(
    r"""(?P<key>"(?:[^"\\]|\\.)*")(?=:)|(?P<string>"(?:[^"\\]|\\.)*")|(?P<number>-?\d[\d.eE+-]*)|(?P<word>true|false|null)"""
)


class Html(str):
    """A piece of HTML, made by `tag` and its like."""

    __slots__ = ()


def tag(element: str, /, *content: str, **attributes: str | bool) -> Html:
    """An element; plain text in it is escaped. `class_` is its attribute `class`; True is one without a value."""
    written = "".join(
        f" {key.rstrip('_').replace('_', '-')}" + ("" if value is True else f'="{escape(str(value))}"')
        for key, value in attributes.items()
        if value is not False
    )
    end = "" if element in _EMPTY_ELEMENTS else f"</{element}>"
    return Html(f"<{element}{written}>{join(*content)}{end}")


def join(*pieces: str) -> Html:
    """Pieces side by side, those of plain text escaped."""
    return Html("".join(piece if isinstance(piece, Html) else escape(piece) for piece in pieces))


def prose(text: str) -> Html:
    """Text in which `this` is code."""
    return join(*(tag("code", piece) if index % 2 else piece for index, piece in enumerate(_QUOTED.split(text))))


def link(to: str, *content: str, **attributes: str | bool) -> Html:
    """A link."""
    return tag("a", *content, href=to, **attributes)


def code_block(text: str, caption: str) -> Html:
    """Lines of code that can be scrolled by keyboard too."""
    content = text if isinstance(text, Html) else join(text)
    return tag("figure", tag("figcaption", caption), tag("pre", tag("code", content), tabindex="0"))


def json_block(value: Any, caption: str) -> Html:
    """A JSON value, its parts told apart by colour."""
    return code_block(coloured_json(json.dumps(value, indent=2, ensure_ascii=False)), caption)


def coloured_json(text: str) -> Html:
    """JSON text with a span around each key, string, number and word."""
    return join(*_coloured(text))


def _coloured(text: str) -> Iterator[str]:
    at = 0
    for match in _JSON_TOKENS.finditer(text):
        yield text[at : match.start()]
        yield tag("span", match[0], class_=f"json-{match.lastgroup}")
        at = match.end()
    yield text[at:]


def page(title: str, *body: str) -> str:
    """A whole document."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Html(STYLE)),
    )
    return "<!doctype html>\n" + tag("html", head, tag("body", *body), lang="en")
