"""Files of finished calls: what stands in each row, and which rows cannot be taken, by their lines.

Read as a whole before anything is done with it. How it gets into a server: `cli/import_calls.py`.
"""

import csv
import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from hookline.api.reading import read_json
from hookline.cli.failed import Failed
from hookline.domain.calls import check_call
from hookline.domain.events import CallPayload
from hookline.errors import Invalid

#: Columns of a CSV file. What an event has as one object is two columns here.
COLUMNS: Final = (
    *("type", "phone_line", "phone_line_name", "phone_number", "account_given_name", "account_family_name"),
    *("duration_seconds", "is_forwarded", "recording"),
)
_NEEDED: Final = frozenset({"type", "phone_line", "phone_number"})
_ACCOUNT: Final = "account_"
_FLAGS: Final = frozenset({"is_forwarded", "recording"})
_TRUTHS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
#: How many bad rows are named.
_MOST_NAMED: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFile:
    """A file whose every row is a call."""

    path: Path
    digest: str  # of its bytes: what is imported is these
    calls: tuple[CallPayload, ...]


@dataclass(frozen=True, slots=True)
class _Row:
    place: str  # how people find it: `line 5`
    value: Any  # its JSON, or why it has none


class _Calls(msgspec.Struct, forbid_unknown_fields=True):
    calls: list[msgspec.Raw]


class _BadRow(Exception):
    """A row that is no row of its file."""


def read_calls(path: Path) -> CallFile:
    """All calls of a file.

    Raises:
        Failed: it cannot be read, or some row is no call; names the rows.
    """
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Failed(f"{path}: it is not UTF-8.", hint="Save it as UTF-8, and import that.") from None
    calls, problems = _checked(READERS[path.suffix.lower()](path, text))
    if problems:
        raise Failed(_told(path, problems))
    return CallFile(path=path, digest=hashlib.sha256(content).hexdigest(), calls=tuple(calls))


def _checked(rows: Iterable[_Row]) -> tuple[list[CallPayload], list[str]]:
    calls, problems = list[CallPayload](), list[str]()
    for row in rows:
        try:
            calls.append(_call(row))
        except (Invalid, _BadRow) as problem:
            problems.append(f"{row.place}: {problem}")
    return calls, problems


def _call(row: _Row) -> CallPayload:
    if isinstance(row.value, _BadRow):
        raise row.value
    return check_call(read_json(row.value, CallPayload))


def _told(path: Path, problems: Sequence[str]) -> str:
    what = "1 row is" if len(problems) == 1 else f"{len(problems):,} rows are"
    more = len(problems) - _MOST_NAMED
    rest = [f"and {more:,} more"] if more > 0 else []
    return "\n".join([f"{path}: {what} no call, so nothing was sent.", *problems[:_MOST_NAMED], *rest])


def _csv_rows(path: Path, text: str) -> Iterator[_Row]:
    """Rows of a CSV file with a header; separated by commas, or by semicolons as some spreadsheets have it."""
    header = text.partition("\n")[0]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=";" if ";" in header else ",", strict=True)
    names = _columns(path, next(_cells(reader), _Row("line 1", [])).value)
    for row in _cells(reader):
        yield _Row(row.place, row.value if isinstance(row.value, _BadRow) else _from_cells(names, row.value))


def _cells(reader: Any) -> Iterator[_Row]:
    """Rows that are not empty, each by the line at which it begins."""
    while True:
        place = f"line {reader.line_num + 1}"
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as problem:
            yield _Row(place, _BadRow(f"{problem}."))
            return
        if any(cell.strip() for cell in cells):
            yield _Row(place, cells)


def _columns(path: Path, cells: Any) -> Sequence[str]:
    names = [] if isinstance(cells, _BadRow) else [cell.strip() for cell in cells]
    wrong = [f"there is no column {name!r}" for name in names if name not in COLUMNS]
    wrong += [f"the column {name!r} is there twice" for name in COLUMNS if names.count(name) > 1]
    wrong += [f"the column {name!r} is needed" for name in sorted(_NEEDED - set(names))]
    if wrong:
        raise Failed(f"{path}: line 1: {wrong[0]}.", hint=f"The columns are {', '.join(COLUMNS)}, in any order.")
    return names


def _from_cells(names: Sequence[str], cells: Sequence[str]) -> Any:
    """The call in a row: what is empty is as if it were not there."""
    if len(cells) != len(names):
        return _BadRow(f"expected {len(names)} columns, got {len(cells)}.")
    filled = {name: cell.strip() for name, cell in zip(names, cells, strict=True) if cell.strip()}
    account = {name.removeprefix(_ACCOUNT): cell for name, cell in filled.items() if name.startswith(_ACCOUNT)}
    values = {name: _value(name, cell) for name, cell in filled.items() if not name.startswith(_ACCOUNT)}
    return msgspec.json.encode({"phone_number": "", **values, "account_name": account})


def _value(name: str, cell: str) -> Any:
    if name == "duration_seconds":
        return int(cell) if cell.isascii() and cell.isdigit() and len(cell) < len(str(2**63)) else cell
    return _TRUTHS.get(cell.lower(), cell) if name in _FLAGS else cell


def _json_rows(path: Path, text: str) -> Iterator[_Row]:
    """A list of calls, or an object with one, as `POST /v3/calls/batch` takes it."""
    try:
        if text.lstrip().startswith("{"):
            calls = msgspec.json.decode(text, type=_Calls).calls
        else:
            calls = msgspec.json.decode(text, type=list[msgspec.Raw])
    except (msgspec.DecodeError, RecursionError) as problem:
        raise Failed(
            f"{path}: it is no list of calls: {problem}.",
            hint='Expected [...] or {"calls": [...]}, as the API takes it.',
        ) from None
    yield from (_Row(f"call {number}", bytes(call)) for number, call in enumerate(calls, 1))


def _json_lines(path: Path, text: str) -> Iterator[_Row]:  # noqa: ARG001  as all readers
    yield from (
        _Row(f"line {number}", line.encode()) for number, line in enumerate(text.split("\n"), 1) if line.strip()
    )


#: How a file is read, by the end of its name.
READERS: Final[Mapping[str, Callable[[Path, str], Iterator[_Row]]]] = {
    ".csv": _csv_rows,
    ".json": _json_rows,
    ".jsonl": _json_lines,
}
