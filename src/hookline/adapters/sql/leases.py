"""Leases on what one node at a time does, in SQL: what both databases share."""

from datetime import timedelta
from typing import Final

from hookline.adapters.sql.session import Session, micros

#: One statement, so that it is right whoever else asks: the row is taken only from somebody whose time is over.
TAKE_LEASE: Final = """
    INSERT INTO lease (name, token, until_at) VALUES (:name, :token, :until_at)
    ON CONFLICT (name) DO UPDATE SET token = :token, until_at = :until_at WHERE lease.until_at <= :now
"""
RENEW_LEASE: Final = "UPDATE lease SET until_at = :until_at WHERE name = :name AND token = :token"
GIVE_BACK_LEASE: Final = "DELETE FROM lease WHERE name = :name AND token = :token"


class SqlLeases:
    """`ports.storage.Leases`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def take(self, name: str, lease: timedelta) -> int | None:
        token, now = self._session.token(), self._session.now
        values = {"name": name, "token": token, "now": micros(now), "until_at": micros(now + lease)}
        return token if self._session.run(TAKE_LEASE, values) else None

    def renew(self, name: str, token: int, lease: timedelta) -> bool:
        until_at = micros(self._session.now + lease)
        return self._session.run(RENEW_LEASE, {"name": name, "token": token, "until_at": until_at}) > 0

    def give_back(self, name: str, token: int) -> None:
        self._session.run(GIVE_BACK_LEASE, {"name": name, "token": token})
