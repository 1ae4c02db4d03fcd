"""The SQL of the topics in the words of PostgreSQL: each statement is translated once. No connection is known here.

Few words differ, and all that do stand here. Flags are the numbers 0 and 1 in both databases; parameters travel in
binary, those that are many as JSON.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Final

from hookline.adapters.sql.history import PASSES
from hookline.adapters.sql.session import Insert, Row

#: Every table into which rows are gathered before they are written: whoever names one of them must see those rows.
TABLES: Final = (
    *("answer", "api_key", "attempt", "call", "connector", "delivery", "event", "meeting", "meeting_participant"),
    *("notice", "phone_line", "process", "settled_delivery", "staged_report", "timer", "user_account", "webhook"),
)
#: `value NOT IN (...)` of SQLite is `NOT list @> value`: a number is itself however it is written, and null is a value.
_PASSES: Final = """
    NOT EXISTS (
        SELECT 1 FROM jsonb_array_elements(:filter::jsonb) AS wanted(pair)
        WHERE jsonb_exists(convert_from(e.body, 'UTF8')::jsonb, wanted.pair ->> 0)
            AND NOT (wanted.pair -> 1) @> (convert_from(e.body, 'UTF8')::jsonb -> (wanted.pair ->> 0)))
"""
_MANY: Final = r"json_array_elements_text(:\1::json)"
#: What SQLite says, as a pattern, and what PostgreSQL says.
_WORDS: Final = (
    (re.compile(r"IN \(SELECT value FROM json_each\(:(\w+)\)\)"), rf"= ANY(ARRAY(SELECT {_MANY}))"),
    (re.compile(r"FROM json_each\(:(\w+)\) (\w+)"), rf"FROM {_MANY} AS \2(value)"),
    (re.compile(r"\bMIN\((\w+), (:\w+)\)"), r"LEAST(\1, \2)"),
)
_PARAMETER: Final = re.compile(r"(?<!:):([a-z_]\w*)")
_TABLE: Final = re.compile(rf"\b({'|'.join(TABLES)})\b")
_CHANGE: Final = re.compile(r"\s*(?:UPDATE|INSERT INTO|DELETE FROM) (\w+)")
_FULL_REPLACEMENT: Final = re.compile(r"\((?P<key>[^)]*)\) DO UPDATE")


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement as PostgreSQL takes it, with the tables that it names, and the one that it changes, if any."""

    sql: str
    tables: frozenset[str]
    changes: str | None


@cache
def translated(sql: str) -> Statement:
    """The statement in PostgreSQL's words, with parameters as the driver wants them."""
    spoken = sql.replace("%", "%%").replace(PASSES, _PASSES)
    for pattern, words in _WORDS:
        spoken = pattern.sub(words, spoken)
    return Statement(
        _PARAMETER.sub(r"%(\1)b", spoken),
        frozenset(_TABLE.findall(sql)),
        None if (change := _CHANGE.match(sql)) is None else change[1],
    )


class ManyRows:
    """An `Insert` as one statement for any number of rows: an array for each column."""

    def __init__(self, insert: Insert, types: Sequence[str]) -> None:
        """`types` are those of the columns."""
        self._insert = insert
        columns = ", ".join(insert.columns)
        arrays = ", ".join(f"%b::{type_}[]" for type_ in types)
        conflict = f" ON CONFLICT {insert.conflict}" if insert.conflict else ""
        self.sql = f"INSERT INTO {insert.table} ({columns}) SELECT * FROM unnest({arrays}){conflict}"

    def parameters(self, rows: Sequence[Row]) -> list[list[Any]]:
        """The arrays. Of rows that replace one another the last is left: no statement replaces what it just wrote."""
        if self._key and len(rows) > 1:
            rows = list({tuple(row[place] for place in self._key): row for row in rows}.values())
        return [list(column) for column in zip(*rows, strict=True)]

    @cached_property
    def _key(self) -> tuple[int, ...]:
        """The places of the columns by which a row replaces an older one; none when rows never do."""
        found = _FULL_REPLACEMENT.match(self._insert.conflict)
        return tuple(self._insert.columns.index(name.strip()) for name in found["key"].split(",")) if found else ()


def one_row(insert: Insert) -> str:
    """An `Insert` as a statement for one row."""
    return insert.sql(1).replace("?", "%b")
