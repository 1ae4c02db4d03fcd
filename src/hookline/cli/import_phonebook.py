"""`hookline import lines` and `hookline import users`: what a file says of them is so on a running server afterwards.

All rows are looked at before the first one is sent. What is there already is changed, so whoever is interrupted does it
again. What may stand in the file: `cli/phonebook_files.py`.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from hookline.cli.asking import admin_key, ask
from hookline.cli.failed import Failed
from hookline.cli.phonebook_files import IDENTITIES, Wanted, identities, read_lines, read_users, require_own
from hookline.settings import load_settings

_PAGE: Final = 200

File = Annotated[
    Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="A CSV file with a header, in UTF-8.")
]
ApiKey = Annotated[str | None, typer.Option(help="An admin key, if not that of HOOKLINE_API_KEY.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def lines(file: File, *, api_key: ApiKey = None, json: Json = False) -> None:
    """Make the phone lines of FILE, and change those that are there already.

    Columns: number, name; and, if you like, ownerEmail and region. When a row is wrong, nothing is changed.
    """
    wanted = read_lines(file)
    server = _Server.of("/v3/phone-lines", "phoneLines", api_key)
    changes = list(_changes(wanted, {each["number"]: each for each in server.all()}))
    _send(server, changes, "line")
    _tell(file, changes, "lines", as_json=json)


def users(file: File, *, api_key: ApiKey = None, json: Json = False) -> None:
    """Make the users of FILE, and change those that are there already.

    Columns: email; and, if you like, givenName, familyName, extension, channelPrefixes, outboundLine and providerIds.
    When a row is wrong, nothing is changed.
    """
    wanted = read_users(file)
    server = _Server.of("/v3/users", "users", api_key)
    there = {each["email"].lower(): each for each in server.all()}
    require_own(file, wanted, there)
    changes = list(_changes(wanted, there))
    _let_go(server, wanted, there)
    _send(server, changes, "user")
    _tell(file, changes, "users", as_json=json)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Server:
    """The server, as far as things of one kind go."""

    base_url: str
    key: str
    path: str
    plural: str  # in the API's lists

    @classmethod
    def of(cls, path: str, plural: str, api_key: str | None) -> "_Server":
        settings = load_settings(os.environ)
        return cls(base_url=settings.base_url, key=admin_key(api_key, settings), path=path, plural=plural)

    def all(self) -> Iterator[Mapping[str, Any]]:
        """Everything that is there."""
        cursor = ""
        while True:
            page = ask(self.base_url, self.key, "GET", f"{self.path}?limit={_PAGE}{cursor}").fine()
            yield from page[self.plural]
            if page["next"] is None:
                return
            cursor = f"&cursor={page['next']}"

    def make(self, body: Mapping[str, Any]) -> None:
        """Make one."""
        ask(self.base_url, self.key, "POST", self.path, body).fine()

    def change(self, id_: str, body: Mapping[str, Any]) -> None:
        """Change one."""
        ask(self.base_url, self.key, "PUT", f"{self.path}/{id_}", body).fine()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """What is to be done for a row: make it, or change what is there; nothing when it is so already."""

    line: int
    id: str  # "" of what is to be made
    body: Mapping[str, Any]  # what is not so yet

    @property
    def word(self) -> str:
        """How it is counted."""
        return "new" if not self.id else "changed" if self.body else "unchanged"


def _changes(wanted: Iterable[Wanted], there: Mapping[str, Mapping[str, Any]]) -> Iterator[_Change]:
    for row in wanted:
        known = there.get(row.key)
        body = row.body if known is None else _differing(row.body, known)
        yield _Change(line=row.line, id="" if known is None else known["id"], body=body)


def _differing(wanted: Mapping[str, Any], there: Mapping[str, Any]) -> Mapping[str, Any]:
    """What of the wanted is not so yet."""
    found = {
        name: _differing(value, there[name]) if isinstance(value, dict) else value
        for name, value in wanted.items()
        if value != there[name]
    }
    return {name: value for name, value in found.items() if value != {}}


def _let_go(server: _Server, wanted: Sequence[Wanted], there: Mapping[str, Mapping[str, Any]]) -> None:
    """Take from users what goes over to others: one by one, two could never swap their extensions."""
    asked_for = {each: row.key for row in wanted for each in identities(row.body.get("phone", {}))}
    for row in wanted:
        phone = there.get(row.key, {}).get("phone", {})
        gone = {each for each in identities(phone) if asked_for.get(each, row.key) != row.key}
        left = {name: _left(name, phone[name], gone) for name in IDENTITIES if any(name == each for each, _ in gone)}
        if left:
            server.change(there[row.key]["id"], {"phone": left})


def _left(name: str, value: Any, gone: set[tuple[str, str]]) -> Any:
    return "" if isinstance(value, str) else [each for each in value if (name, each) not in gone]


def _send(server: _Server, changes: Sequence[_Change], what: str) -> None:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Importing", total=len(changes))
        for done, change in enumerate(changes):
            try:
                _do(server, change)
            except Failed as problem:
                raise Failed(
                    f"line {change.line}: {problem} {_count(done, what)} of {len(changes):,} before it are in.",
                    hint=f"{problem.hint} Then do this again: what is in already stays.".strip(),
                ) from None
            bar.advance(task)


def _do(server: _Server, change: _Change) -> None:
    if not change.id:
        server.make(change.body)
    elif change.body:
        server.change(change.id, change.body)


def _tell(file: Path, changes: Sequence[_Change], what: str, *, as_json: bool) -> None:
    words = [change.word for change in changes]
    counts = {word: words.count(word) for word in ("new", "changed", "unchanged")}
    if as_json:
        typer.echo(msgspec.json.encode({"file": str(file), what: len(changes), **counts}))
    else:
        told = ", ".join(f"{count:,} {word}" for word, count in counts.items() if count) or "none in it"
        typer.echo(f"{_count(len(changes), what.removesuffix('s'))}: {told}.")


def _count(count: int, what: str) -> str:
    return f"1 {what}" if count == 1 else f"{count:,} {what}s"
