"""A backlog: calls that are kept and owed through Hookline's own services while no server runs, so nothing is sent.

A process of its own, configured like a server: `python -m bench.seed COUNT`.
"""

import os
import sys
from typing import Final

import msgspec

from bench.bodies import call
from hookline.bootstrap.storage import open_store
from hookline.domain.calls import check_call
from hookline.domain.events import CallPayload
from hookline.services.calls import report_calls
from hookline.settings import load_settings

_BATCH: Final = 1_000


def main() -> None:
    """Report so many calls, a thousand in each transaction."""
    count = int(sys.argv[1])
    with open_store(load_settings(os.environ)) as store:
        for first in range(0, count, _BATCH):
            batch = [call(number) for number in range(first, min(first + _BATCH, count))]
            store.write(report_calls, [check_call(msgspec.convert(each, CallPayload)) for each in batch])


if __name__ == "__main__":
    main()
