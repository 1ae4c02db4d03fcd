"""Idempotency: a request that is sent twice is done once.

The answer is kept in the transaction that did the work, so there is no instant at which one is on disk without the
other. Refusals are not kept: nothing was done, and the same request is refused again by the same rules.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from hookline.errors import IdempotencyMismatch
from hookline.ports.storage import StoredAnswer, Transaction

REMEMBERED_FOR: Final = timedelta(hours=24)


def once(
    tx: Transaction,
    owner: str,
    key: str,
    fingerprint: str,
    work: Callable[[Transaction], tuple[int, bytes]],
) -> tuple[int, bytes]:
    """Do `work` unless `owner` did it under this key within 24 h; the answer (status, body) is the same both times.

    Raises:
        IdempotencyMismatch: the key was used for a request with another fingerprint.
    """
    before = tx.answers.answer(owner, key)
    if before is not None and tx.now < before.created_at + REMEMBERED_FOR:
        if before.fingerprint != fingerprint:
            raise IdempotencyMismatch(
                f"The idempotency key {key[:60]!r} was used for another request.",
                hint="Use a new key for a new request, and the same one only to repeat it unchanged.",
            )
        return before.status, before.body
    status, body = work(tx)
    answer = StoredAnswer(fingerprint=fingerprint, status=status, body=body, created_at=tx.now)
    tx.answers.keep(owner, key, answer)
    return status, body


def forget_old_answers(tx: Transaction, limit: int) -> int:
    """Forget up to `limit` answers that nobody can ask for any more. Returns how many."""
    return tx.answers.forget_before(tx.now - REMEMBERED_FOR, limit=limit)
