"""A database from before changes of webhooks were kept explains what can be known, and makes nothing up."""

import random
import sqlite3
from contextlib import closing
from pathlib import Path

from hookline.adapters.sql.migrate import _apply_missing, sqlite_migrations
from hookline.adapters.sql.session import micros
from hookline.adapters.sql.sqlite import SqliteStore
from hookline.services.explaining import explain_event
from tests.fakes import MONDAY, ManualClock
from tests.values import HOUR

BEFORE = 4
WEBHOOK = """
    INSERT INTO webhook (url, events, description, headers, retry_policy, timeout_seconds, secrets, is_active,
        disabled_reason, created_at, modified_at)
    VALUES ('https://a.example/', ?, '', '[]', '"standard"', 15, '[]', ?, ?, ?, ?)
"""
EVENT = """
    INSERT INTO event (id, kind, subject, sequence, occurred_at, created_at, body, is_test)
    VALUES (?, 'callFinished', ?, 1, ?, ?, x'7b7d', 0)
"""


def test_webhooks_that_exist_are_explained_by_what_they_are(tmp_path: Path) -> None:
    path = tmp_path / "hookline.db"
    early, late = micros(MONDAY - HOUR), micros(MONDAY + HOUR)
    with closing(sqlite3.connect(path)) as old:
        _apply_missing(old, [each for each in sqlite_migrations() if each[0] < BEFORE])
        for events, active, reason, made_at in (
            ('["callFinished"]', 1, "", early),
            ('["meetingBooked"]', 1, "", early),
            ('["callFinished"]', 0, "Gone.", early),
            ('["callFinished"]', 1, "", late),
        ):
            old.execute(WEBHOOK, (events, active, reason, made_at, made_at))
        old.execute(EVENT, ("evt_a", "call_a", micros(MONDAY), micros(MONDAY)))
        old.commit()
    store = SqliteStore(path, ManualClock(), random.Random(7))
    _, explanations = store.read(explain_event, "evt_a")
    store.close()
    assert [each.why for each in explanations] == [
        "There is no record of it: it is too old, or how the webhook was set at that time is not known.",
        "Not subscribed to callFinished at that time, but to meetingBooked.",
        "The webhook was disabled at that time: Gone.",
        "The webhook was made at 2026-01-05 10:00:00 UTC, after this event.",
    ]
