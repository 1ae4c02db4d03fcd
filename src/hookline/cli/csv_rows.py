"""Files in CSV with a header: which columns there are, and what stands in each row, by the line at which it begins.

What a row means is said by those who read it: `cli/phonebook_files.py`.
"""

import csv
import io
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from hookline.cli.failed import Failed
from hookline.errors import Invalid

T = TypeVar("T")

#: How many bad rows are named.
_MOST_NAMED: Final = 20


@dataclass(frozen=True, slots=True)
class Row:
    """A row with its cells by their columns, without the blanks around them; or what is wrong with it."""

    line: int
    cells: Mapping[str, str]
    problem: str = ""


def read_rows(path: Path, columns: Sequence[str], needed: Collection[str]) -> Sequence[Row]:
    """The rows of a CSV file that are not empty; separated by commas, or by semicolons as some spreadsheets have it.

    Raises:
        Failed: it is not UTF-8, or its header names a column that there is not, or not one that is needed.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Failed(f"{path}: it is not UTF-8.", hint="Save it as UTF-8, and import that.") from None
    delimiter = ";" if ";" in text.partition("\n")[0] else ","
    lines = _lines(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    _, header, problem = next(lines, (1, [], ""))
    _require_columns(path, problem, header, columns, needed)
    return [_row(line, header, cells, problem) for line, cells, problem in lines]


def _lines(reader: Any) -> Iterator[tuple[int, Sequence[str], str]]:
    """Rows that are not empty, each with the line at which it begins, and what is wrong with it."""
    while True:
        line = reader.line_num + 1
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error as problem:
            yield line, [], f"{problem}."
            return
        if any(cells):
            yield line, cells, ""


def _require_columns(
    path: Path, problem: str, names: Sequence[str], columns: Sequence[str], needed: Collection[str]
) -> None:
    wrong = [problem.rstrip(".")] if problem else []
    wrong += [f"there is no column {name[:60]!r}" for name in names if name not in columns]
    wrong += [f"the column {name!r} is there twice" for name in columns if names.count(name) > 1]
    wrong += [f"the column {name!r} is needed" for name in columns if name in needed and name not in names]
    if wrong:
        raise Failed(f"{path}: line 1: {wrong[0]}.", hint=f"The columns are {', '.join(columns)}, in any order.")


def _row(line: int, names: Sequence[str], cells: Sequence[str], problem: str) -> Row:
    if not problem and len(cells) != len(names):
        problem = f"expected {len(names)} columns, got {len(cells)}."
    return Row(line, {} if problem else dict(zip(names, cells, strict=True)), problem)


def checked(path: Path, rows: Iterable[Row], check: Callable[[Row], T]) -> list[T]:
    """What `check` makes of every row.

    Raises:
        Failed: it refuses some; all of them are told, by line.
    """
    good, problems = list[T](), list[str]()
    for row in rows:
        try:
            if row.problem:
                raise Invalid(row.problem)
            good.append(check(row))
        except Invalid as refusal:
            problems.append(f"line {row.line}: {refusal}")
    require_none(path, problems)
    return good


def require_none(path: Path, problems: Sequence[str]) -> None:
    """Fail if there are problems, and tell them.

    Raises:
        Failed: there are.
    """
    if problems:
        what = "1 row" if len(problems) == 1 else f"{len(problems):,} rows"
        more = len(problems) - _MOST_NAMED
        rest = [f"and {more:,} more"] if more > 0 else []
        told = [f"{path}: {what} cannot be taken, so nothing was changed.", *problems[:_MOST_NAMED], *rest]
        raise Failed("\n".join(told))
