"""Retention: what is older than the installation wants to keep goes, a few rows at a time."""

from datetime import timedelta

from hookline.ports.storage import Transaction


def forget_old_events(tx: Transaction, keep_for: timedelta, limit: int) -> int:
    """Forget events, deliveries and attempts older than `keep_for`, and what explains none that is left, up to `limit`
    of each. Returns how many rows.

    What is still owed stays, however old.
    """
    return tx.outbox.forget_before(tx.now - keep_for, limit=limit) + tx.past.forget(limit)


def forget_old_files(tx: Transaction, limit: int) -> int:
    """Forget up to `limit` pieces of exported files whose time is over. Returns how many."""
    return tx.processes.forget_expired(limit=limit)


def forget_old_intake(tx: Transaction, keep_for: timedelta, limit: int) -> int:
    """Forget up to `limit` calls that connectors told of and that were settled longer than `keep_for` ago, and as many
    decisions of that age.

    Until then it is known of them that they are settled, whenever something comes late or twice. Returns how many.
    """
    before = tx.now - keep_for
    return tx.intake.forget_before(before, limit=limit) + tx.decisions.forget_before(before, limit=limit)


def forget_old_processes(tx: Transaction, keep_for: timedelta, limit: int) -> int:
    """Forget up to `limit` processes begun longer than `keep_for` ago that have ended. Returns how many."""
    return tx.processes.forget_before(tx.now - keep_for, limit=limit)
