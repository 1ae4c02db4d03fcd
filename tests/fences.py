"""Fences that no linter has: no clock is read outside its adapter, no SQL is written outside `adapters/sql`, no
migration of PostgreSQL takes anything away from the version before it, and no test has a short bound on real time
(`time_bounds.py`).

`python -m tests.fences` looks at all of src and tests and ends with 1 if something climbs over; `tests/test_fences.py`
proves that the fences would notice.
"""

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from hookline.adapters.sql.postgres_migrate import BREAKS
from tests.time_bounds import short_bounds

TESTS: Final = Path(__file__).parent
SRC: Final = Path(__file__).parent.parent / "src" / "hookline"
CLOCK_HOME: Final = "adapters/system_clock.py"
SQL_HOME: Final = "adapters/sql/"
MIGRATIONS: Final = SRC / "adapters" / "sql" / "migrations" / "postgres"
#: The receiver library stands alone, so its default clock is a reference to the standard library's.
CLOCK_REFERENCES: Final = {"receiver.py": {"time.time"}}

_CLOCK_CALLS: Final = {
    "asyncio": {"sleep", "timeout", "timeout_at", "wait_for"},
    "time": {"*"},
    "datetime": {"now", "utcnow", "today"},
    "date": {"today"},
}
#: Methods of event loops: whatever the loop is called.
_LOOP_METHODS: Final = {"call_later", "call_at"}
_SQL: Final = re.compile(
    r"\b(SELECT\s.+\sFROM|INSERT\s+INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM|CREATE\s+(TABLE|INDEX)|PRAGMA\s+\w+)\b",
    re.DOTALL,
)
#: What a migration may not do unless it says that older versions end with it: their statements would fail, or what they
#: write would be refused.
_TAKES_AWAY: Final = {
    "drops": re.compile(r"\bDROP\b(?!\s+INDEX\b)"),
    "renames": re.compile(r"\bRENAME\b"),
    "changes a type": re.compile(r"\bALTER\b[^;]*\bTYPE\b"),
    "empties": re.compile(r"\bTRUNCATE\b"),
    "adds a constraint": re.compile(r"\bADD\s+(CONSTRAINT|CHECK|UNIQUE|PRIMARY|FOREIGN|EXCLUDE)\b"),
    "makes a column NOT NULL": re.compile(r"\bSET\s+NOT\s+NULL\b"),
    "adds a column NOT NULL without DEFAULT": re.compile(
        r"\bADD\s+(COLUMN\s+)?(?!CONSTRAINT|CHECK)(?=[^;]*?\bNOT\s+NULL\b)"
        r"(?:(?!\bDEFAULT\b|\bADD\b|;).)*\bNOT\s+NULL\b(?:(?!\bDEFAULT\b|\bADD\b|;).)*(?=;|$|\bADD\b)",
        re.DOTALL,
    ),
}
_UNIQUE_INDEX: Final = re.compile(r"\bCREATE\s+UNIQUE\s+INDEX\b.*?\bON\s+(?:ONLY\s+)?(\w+)", re.DOTALL)


def takes_away(migration: str) -> list[str]:
    """What this migration (SQL, upper-case) does that the version before it would not survive, unless it says so."""
    if BREAKS in migration:
        return []
    sql = re.sub(r"--[^\n]*", "", migration)
    found = [what for what, pattern in _TAKES_AWAY.items() if pattern.search(sql)]
    made = set(re.findall(r"\bCREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(\w+)", sql))
    return found + [f"makes {table} unique" for table in _UNIQUE_INDEX.findall(sql) if table not in made]


def shared_numbers(names: Iterable[str]) -> list[str]:
    """Files among these migrations of one database that have the number of another: only one of both would be applied
    to a database that exists.
    """
    first: dict[str, str] = {}
    return [
        f"{name}: it has the number of {first[number]}"
        for name in sorted(names)
        if first.setdefault(number := name.partition("_")[0], name) != name
    ]


def climbers(path: str, source: str) -> Iterator[str]:
    """What in this file (a path relative to src/hookline) climbs over a fence, each as `path:line: why`."""
    tree = ast.parse(source)
    if path != CLOCK_HOME:
        for line, name in _clock_reads(tree):
            if name not in CLOCK_REFERENCES.get(path, set()):
                yield f"{path}:{line}: {name} reads a clock or sleeps; only {CLOCK_HOME} may"
    if not path.startswith(SQL_HOME):
        for line in _sql(tree):
            yield f"{path}:{line}: SQL outside {SQL_HOME}"


def _clock_reads(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = node.value.attr if isinstance(node.value, ast.Attribute) else getattr(node.value, "id", "")
            names = _CLOCK_CALLS.get(owner, set())
            if node.attr in names or "*" in names:
                yield node.lineno, f"{owner}.{node.attr}"
            elif node.attr in _LOOP_METHODS or (node.attr == "time" and "loop" in ast.unparse(node.value)):
                yield node.lineno, ast.unparse(node)
        elif isinstance(node, ast.ImportFrom) and node.module in ("time", "asyncio"):
            for alias in node.names:
                if node.module == "time" or alias.name in _CLOCK_CALLS["asyncio"]:
                    yield node.lineno, f"{node.module}.{alias.name}"


def _sql(tree: ast.AST) -> Iterator[int]:
    prose = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in prose)
    yield from (node.lineno for node in constants if isinstance(node.value, str) and _SQL.search(node.value))


def main() -> int:
    """Look at everything. Returns the exit code."""
    found = [
        climber
        for file in sorted(SRC.rglob("*.py"))
        for climber in climbers(file.relative_to(SRC).as_posix(), file.read_text("utf-8"))
    ]
    found += [
        f"{file.name}: it {what}, which the version before does not survive; see CONTRIBUTING.md"
        for file in sorted(MIGRATIONS.glob("*.sql"))
        for what in takes_away(file.read_text("utf-8"))
    ]
    for dialect in ("postgres", "sqlite"):
        found += shared_numbers(file.name for file in (MIGRATIONS.parent / dialect).glob("*.sql"))
    found += [
        bound
        for file in sorted(TESTS.rglob("*.py"))
        for bound in short_bounds(file.relative_to(TESTS).as_posix(), file.read_text("utf-8"))
    ]
    print(
        "\n".join(found)
        or "No clock is read outside its adapter, no SQL is outside adapters/sql, migrations add, and tests can wait."
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
