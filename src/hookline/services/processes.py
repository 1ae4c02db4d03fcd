"""Processes: long work is looked up, goes on step by step, and ends."""

from collections.abc import Sequence

from hookline.domain.processes import Process, Replay
from hookline.errors import NotFound
from hookline.ports.storage import Transaction
from hookline.services.exports import step_export
from hookline.services.replays import Pace, step_replay


def read_process(tx: Transaction, process_id: int) -> Process:
    """The process as it is now.

    Raises:
        NotFound: no such process.
    """
    process = tx.processes.process(process_id)
    if process is None:
        raise NotFound(f"There is no process {process_id}.")
    return process


def list_processes(tx: Transaction, *, newest_first: bool, limit: int, offset: int) -> tuple[Sequence[Process], int]:
    """Some of the list, by creation, and how many there are in all."""
    return tx.processes.processes(newest_first=newest_first, limit=limit, offset=offset), tx.processes.count()


def next_step(tx: Transaction) -> Process | None:
    """The process whose next step may be taken first."""
    return tx.processes.next_step()


def take_step(tx: Transaction, process_id: int, pace: Pace) -> Process | None:
    """Take one step of a process, if it may be taken by now: somebody else may have taken it. Returns it as it is then.

    What the step does, and how far the process has come by it, are one commit.
    """
    process = tx.processes.process(process_id)
    if process is None or process.due_at is None or tx.now < process.due_at:
        return None
    asked = process.asked
    after = step_replay(tx, process, asked, pace) if isinstance(asked, Replay) else step_export(tx, process, asked)
    tx.processes.save(after)
    return after


def fail_process(tx: Transaction, process_id: int, error: str) -> None:
    """End a process that cannot go on, unless it has ended."""
    process = tx.processes.process(process_id)
    if process is not None and process.due_at is not None:
        tx.processes.save(process.failed(error, tx.now))
