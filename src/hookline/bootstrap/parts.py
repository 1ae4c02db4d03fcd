"""What every command may need of the machine: the clock and the dice."""

import random
import secrets

from hookline.adapters.http_server import Server as Server  # noqa: PLC0414  the command line has it from here
from hookline.adapters.system_clock import SystemClock
from hookline.ports.clock import Clock


def system_clock() -> Clock:
    """The real clock."""
    return SystemClock()


class Dice(random.Random):
    """Quick dice for ids, tokens and jitter, begun from the system's; what nobody may guess is the system's own."""

    def __init__(self) -> None:
        super().__init__(secrets.randbits(256))

    def randbytes(self, n: int) -> bytes:
        """Bytes that nobody can guess."""
        return secrets.token_bytes(n)  # noqa: TID251  this is the home of the dice
