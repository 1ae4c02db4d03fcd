"""`hookline serve` on a machine of its own: its clock goes wrong, and its leases end soon.

    python -m tests.acceptance.node serve

What a node of the cluster run is made of; `nodes.py` starts it. Nothing else is other than in `python -m hookline`.
"""

import os
from datetime import datetime, timedelta, tzinfo
from typing import Final

from hookline.adapters import system_clock
from hookline.domain import deliveries

#: By how much the machine's clock is wrong.
CLOCK_OFF_SECONDS: Final = "ACCEPTANCE_CLOCK_OFF_SECONDS"
#: How long the node's leases last, and what has to be left of one beyond the time limit when an attempt begins. A
#: lease that ends because the machine is busy looks like a broken promise: the tests have longer ones than a long run.
LEASE_SECONDS: Final = int(os.environ.get("ACCEPTANCE_LEASE_SECONDS", "6"))
LEASE_SLACK_SECONDS: Final = 2


class _WrongMachine(datetime):
    """What the system clock asks for the time."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]  # as `datetime` has it
        """The time, off by what this machine is off."""
        off = timedelta(seconds=float(os.environ[CLOCK_OFF_SECONDS]))
        return datetime.now(tz) + off  # noqa: TID251  stands in for the machine's clock


def main() -> None:
    """Run the command line, with everything short that would make a run long."""
    vars(system_clock)["datetime"] = _WrongMachine
    vars(deliveries)["LEASE"] = timedelta(seconds=LEASE_SECONDS)
    from hookline.engine import dispatcher  # whoever takes the lease over does so from here on

    vars(dispatcher)["_LEASE_SLACK"] = timedelta(seconds=LEASE_SLACK_SECONDS)
    from hookline.cli import main as command_line

    command_line()


if __name__ == "__main__":
    main()
