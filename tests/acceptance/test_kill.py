"""A short slice of the kill test, with another seed each time. The whole of it: `python -m tests.acceptance.kill`."""

import random
from pathlib import Path

import pytest

from tests.acceptance import kill

_ROUNDS = 8


@pytest.mark.slow
def test_kill_9_at_any_moment_loses_nothing_and_repeats_only_what_was_under_way(tmp_path: Path) -> None:
    seed = random.SystemRandom().getrandbits(32)
    said = [f"seed {seed}"]
    summary = kill.run(_ROUNDS, seed, tmp_path, said.append)
    assert summary.broken == [], "\n".join([*said, *summary.lines()])
