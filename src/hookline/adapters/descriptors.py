"""File descriptors: how many this process may have, who gets how many, and whether one is left.

Every connection, file and name lookup takes one. Clients cannot take those that the sender and the store need: a server
that is flooded still delivers and still writes.
"""

import errno
import os
import resource
from typing import Final, NamedTuple

from hookline.ports.clock import Clock

#: What is asked of the system, if the hard limit allows it.
MOST_OPEN_FILES: Final = 65_536
#: For the store, name lookups, connections to phone systems, logs and files.
_RESERVE: Final = 256
_MOST_OF_SENDER: Final = 1000
_MOST_OF_CLIENTS_BY_DEFAULT: Final = 4000

#: How long a shortage is told after it occurred last.
SHORTAGE_SECONDS: Final = 60.0

_EXHAUSTED: Final = frozenset((errno.EMFILE, errno.ENFILE))


class Shares(NamedTuple):
    """How many connections there may be."""

    default_clients: int
    most_clients: int
    sender: int


def raise_limit() -> int:
    """Raise the soft limit, which is often too low, as far as is allowed. Returns how many files may be open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MOST_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        return most
    return MOST_OPEN_FILES if soft == resource.RLIM_INFINITY else soft


def shares_of(limit: int) -> Shares:
    """Divide so many descriptors. A third of what is left for clients is for those that are refused."""
    left = limit - min(_RESERVE, limit // 4)
    sender = min(_MOST_OF_SENDER, left // 2)
    most_clients = max(1, (left - sender) * 2 // 3)
    return Shares(min(_MOST_OF_CLIENTS_BY_DEFAULT, most_clients), most_clients, sender)


def is_exhausted(problem: BaseException | None) -> bool:
    """Whether something failed because no descriptor was left, in this process or on this machine."""
    return isinstance(problem, OSError) and problem.errno in _EXHAUSTED


def none_is_left() -> bool:
    """Whether no descriptor is left at this moment. Libraries that run out of them often say something else."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as problem:
        return is_exhausted(problem)
    return False


class Shortage:
    """Whether this process ran out of descriptors lately. One for all its parts, which tell it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._occurred_at: float | None = None

    def occurred(self) -> None:
        """Something could not be opened for want of a descriptor."""
        self._occurred_at = self._clock.monotonic()

    def problem(self) -> str:
        """A sentence while no descriptor is free and for `SHORTAGE_SECONDS` after; else ""."""
        since = None if self._occurred_at is None else self._clock.monotonic() - self._occurred_at
        if none_is_left() or (since is not None and since < SHORTAGE_SECONDS):
            return "There is no free file descriptor: raise the limit of open files (LimitNOFILE, ulimit -n)."
        return ""
