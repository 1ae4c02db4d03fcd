"""Leases on what one node at a time does, in SQL: what both databases share."""

from datetime import timedelta
from typing import Final

from hookline.adapters.sql.session import Session, instant, micros
from hookline.ports.leases import Held

#: One statement, so that it is right whoever else asks: the row is taken only from somebody whose time is over.
HOLD: Final = """
    INSERT INTO lease (name, holder, until_at) VALUES (:name, :holder, :until_at)
    ON CONFLICT (name) DO UPDATE SET holder = :holder, until_at = :until_at
        WHERE lease.holder = :holder OR lease.until_at <= :now
"""
HELD: Final = "SELECT name, holder, until_at FROM lease WHERE until_at > :now"
LET_GO: Final = "DELETE FROM lease WHERE name = :name AND holder = :holder"


class SqlLeases:
    """`ports.storage.Leases`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def hold(self, name: str, holder: str, lease: timedelta) -> bool:
        now = self._session.now
        values = {"name": name, "holder": holder, "now": micros(now), "until_at": micros(now + lease)}
        return self._session.run(HOLD, values) > 0

    def held(self) -> dict[str, Held]:
        rows = self._session.rows(HELD, {"now": micros(self._session.now)})
        return {name: Held(holder=holder, until=instant(until_at)) for name, holder, until_at in rows}

    def let_go(self, name: str, holder: str) -> None:
        self._session.run(LET_GO, {"name": name, "holder": holder})
