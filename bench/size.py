"""How large a database is, and which of its tables that is."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

#: Pages belong to tables and to their indexes; an index counts for its table.
_PAGES: Final = """
    SELECT s.tbl_name, SUM(d.pgsize) FROM dbstat d JOIN sqlite_schema s ON s.name = d.name
    WHERE d.aggregate = 1 GROUP BY s.tbl_name
"""
_BODIES: Final = "SELECT COALESCE(SUM(LENGTH(body)), 0) FROM event"


def of_database(path: Path) -> dict[str, int]:
    """Bytes of the `file`, of each of its tables with its indexes, and of the `body` of all events; once all that is in
    the log beside it has been written into it.
    """
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        [(body,)] = connection.execute(_BODIES).fetchall()
        tables = dict(connection.execute(_PAGES).fetchall())
    return {**tables, "body": body, "file": path.stat().st_size}
