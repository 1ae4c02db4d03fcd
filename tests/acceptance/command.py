"""How a long run is a command: seed and progress are printed; what it leaves is kept only when a promise broke."""

import argparse
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from tests.acceptance.serving import Broken


class Summary(Protocol):
    """What came of a run."""

    @property
    def is_broken(self) -> bool:
        """Whether a promise was broken."""

    def lines(self) -> Iterator[str]:
        """For people."""


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def counted(counts: Counter[str]) -> str:
    """What there was most of, first."""
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())


def long_run(
    run: Callable[..., Summary],
    *,
    name: str,
    description: str,
    amount: str,
    default: float,
    amount_help: str,
    seed_help: str,
    more: Mapping[str, tuple[float | str, str]] | None = None,
) -> int:
    """Read the arguments, do the run in a folder of its own, and tell what came of it. Returns the exit code.

    `amount` names the option that says how long the run is; its default also says whether it is whole. `more` are
    further options with their defaults and help; `run` is given them by name.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(f"--{amount}", type=type(default), default=default, help=amount_help)
    parser.add_argument("--seed", type=int, default=None, help=seed_help)
    options = more or {}
    for option, (usual, help_) in options.items():
        parser.add_argument(f"--{option}", type=type(usual), default=usual, help=f"{help_} (default: {usual})")
    given = vars(parser.parse_args())
    seed = random.SystemRandom().getrandbits(32) if given["seed"] is None else given["seed"]
    say(f"seed {seed}")
    folder = Path(tempfile.mkdtemp(prefix=f"hookline-{name}-"))
    try:
        summary = run(given[amount], seed, folder, say, **{option: given[option] for option in options})
    except Broken as problem:
        say(f"broken: {problem}\nseed {seed}; database and log are in {folder}")
        return 1
    for line in summary.lines():
        say(line)
    if summary.is_broken:
        say(f"database and log are in {folder}")
        return 1
    shutil.rmtree(folder)
    return 0
