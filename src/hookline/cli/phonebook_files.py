"""Files of lines and of users: what stands in a row, in the API's words, and what may not stand there.

The rules are the API's own, so that a file that is taken here is taken there. How it gets
there: `cli/import_phonebook.py`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from hookline.api import phone_lines, users
from hookline.api.reading import read_json
from hookline.cli.csv_rows import Row, checked, read_rows, require_none
from hookline.domain.calls import parse_number
from hookline.domain.text import require_email
from hookline.services.phonebook import line_number

LINE_COLUMNS: Final = ("number", "name", "ownerEmail", "region")
USER_COLUMNS: Final = (
    *("email", "givenName", "familyName"),
    *("extension", "channelPrefixes", "outboundLine", "providerIds"),
)
_PHONE: Final = USER_COLUMNS[3:]
#: Columns with several in a cell, apart by blanks.
_LISTS: Final = frozenset({"channelPrefixes", "providerIds"})
#: What tells whose phone it is, and may tell that of one user only.
IDENTITIES: Final = ("extension", "channelPrefixes", "providerIds")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a row wants: a body as the API takes it, with a key by which it is known whether it is there already."""

    line: int
    key: str
    body: Mapping[str, Any]


def read_lines(path: Path) -> Sequence[Wanted]:
    """The lines of a file.

    Raises:
        Failed: it cannot be read, or some row cannot be taken; names the rows.
    """
    return _without_twins(path, "number", checked(path, read_rows(path, LINE_COLUMNS, {"number", "name"}), _line))


def read_users(path: Path) -> Sequence[Wanted]:
    """The users of a file.

    Raises:
        Failed: it cannot be read, or some row cannot be taken; names the rows.
    """
    return _without_twins(path, "email", checked(path, read_rows(path, USER_COLUMNS, {"email"}), _user))


def _line(row: Row) -> Wanted:
    body = dict(row.cells)
    if "region" in body:
        body["region"] = body["region"].upper()
    phone_lines.changes_of(read_json(msgspec.json.encode(body), phone_lines.NewPhoneLineBody))
    body["number"] = line_number(body["number"], body.get("region", ""))
    return Wanted(row.line, body["number"], body)


def _user(row: Row) -> Wanted:
    phone: dict[str, Any] = {
        name: list(dict.fromkeys(row.cells[name].split())) if name in _LISTS else row.cells[name]
        for name in _PHONE
        if name in row.cells
    }
    body: dict[str, Any] = {name: cell for name, cell in row.cells.items() if name not in _PHONE}
    if phone:
        body["phone"] = phone
    users.changes_of(read_json(msgspec.json.encode(body), users.NewUserBody))
    require_email(body["email"], "email")
    if phone.get("outboundLine"):
        phone["outboundLine"] = parse_number(phone["outboundLine"], "outboundLine")
    return Wanted(row.line, body["email"].lower(), body)


def _without_twins(path: Path, name: str, rows: Sequence[Wanted]) -> Sequence[Wanted]:
    """The rows, unless two want the same."""
    first: dict[str, int] = {}
    require_none(
        path,
        [
            f"line {row.line}: {name}: {row.key} stands in line {first[row.key]} already."
            for row in rows
            if first.setdefault(row.key, row.line) != row.line
        ],
    )
    return rows


def require_own(path: Path, rows: Sequence[Wanted], there: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse rows after which something would tell of two users' phones; `there` are users of the server, by key.

    Raises:
        Failed: there are such rows; names them.
    """
    owners = {
        identity: there[key]["email"]
        for key in there.keys() - {row.key for row in rows}
        for identity in identities(there[key]["phone"])
    }
    require_none(path, list(_taken(rows, there, owners)))


def _taken(
    rows: Iterable[Wanted], there: Mapping[str, Mapping[str, Any]], owners: dict[tuple[str, str], str]
) -> Iterator[str]:
    for row in rows:
        phone = {**there.get(row.key, {}).get("phone", {}), **row.body.get("phone", {})}
        for name, identity in identities(phone):
            owner = owners.setdefault((name, identity), row.body["email"])
            if owner != row.body["email"]:
                yield f"line {row.line}: {name}: {identity} is that of {owner} already."
                break


def identities(phone: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """What tells that a phone is this one, each with what it is."""
    found = [("extension", phone["extension"])] if phone.get("extension") else []
    return found + [(name, each) for name in IDENTITIES[1:] for each in phone.get(name, ())]
