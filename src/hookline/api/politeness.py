"""How often the interpreter hands its lock over from one thread to another.

By default a thread that wants the lock waits 5 ms for one that computes. Each step of the event loop and each statement
of the thread that writes wants it. So while much is computed in one thread, it is handed over ten times as often. To do
so always would cost a tenth of all deliveries per second.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Final

_USUAL_SECONDS: Final = sys.getswitchinterval()
_POLITE_SECONDS: Final = _USUAL_SECONDS / 10

_lock: Final = Lock()
_reasons = 0


@contextmanager
def polite() -> Iterator[None]:
    """Hand the lock over often until the block ends. From any thread; blocks may overlap."""
    be_polite()
    try:
        yield
    finally:
        be_usual()


def be_polite() -> None:
    """There is one more reason to hand it over often."""
    _count(1)


def be_usual() -> None:
    """There is one reason less."""
    _count(-1)


def _count(more: int) -> None:
    global _reasons  # noqa: PLW0603  as the interval itself, it is one for the process
    with _lock:
        _reasons += more
        sys.setswitchinterval(_POLITE_SECONDS if _reasons else _USUAL_SECONDS)
