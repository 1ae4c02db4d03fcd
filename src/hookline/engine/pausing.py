"""Pauses that the machine's time cannot lengthen.

To sleep until an instant is right for what is due then. A pause is not: if the clock was a year ahead when the pause
began and is set right, the pause would last a year.
"""

import asyncio
from datetime import timedelta

from hookline.ports.clock import Clock


async def pause(clock: Clock, length: timedelta) -> None:
    """Wait for this long, by the monotonic clock."""
    over = asyncio.Event()
    alarm = clock.alarm(length.total_seconds(), over.set)
    try:
        await over.wait()
    finally:
        alarm.cancel()
