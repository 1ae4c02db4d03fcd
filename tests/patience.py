"""How long tests wait for a fact before they fail by its name, and which signals the programs they start hear.

A test never asserts how soon something happens: a machine with a load of 20 is ten times slower than an idle one. It
waits for the fact itself, and this bound only turns a hang into a failure. `tests/fences.py` refuses shorter bounds.
"""

import signal
from typing import Final

#: Real seconds.
PATIENCE_SECONDS: Final = 120

_STOPPING_SIGNALS: Final = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)


def hear_stopping_signals() -> None:
    """Undo what `nohup` and the `&` of a shell without job control do: child processes inherit ignored signals.

    Without this, a program that a test stops by SIGINT or SIGHUP would never end (POSIX, `sh`, 2.11 and `exec`).
    """
    for number in _STOPPING_SIGNALS:
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler if number is signal.SIGINT else signal.SIG_DFL)
