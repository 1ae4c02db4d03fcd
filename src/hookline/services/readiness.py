"""Readiness: one write that proves that the store takes writes."""

from typing import Final

from hookline.ports.storage import StoredAnswer, Transaction
from hookline.services.timers import next_timer_at

#: The row that is overwritten each time. No key can have this name, so no request meets it.
OWNER: Final = "readiness"
KEY: Final = "probe"
#: Bytes after a write was refused: more than a report of a few calls needs. One page may still fit on a full disk.
LARGE_BYTES: Final = 128 * 1024


def probe_reading(tx: Transaction) -> None:
    """Read one row by an index."""
    next_timer_at(tx)


def probe_writing(tx: Transaction, size: int) -> None:
    """Overwrite one row with `size` bytes that no store can compress."""
    answer = StoredAnswer(fingerprint="", status=0, body=tx.secret_bytes(size), created_at=tx.now)
    tx.answers.keep(OWNER, KEY, answer)
