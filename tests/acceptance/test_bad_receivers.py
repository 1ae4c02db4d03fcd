"""A short slice of the run beside bad receivers. The whole of it: `python -m tests.acceptance.bad_receivers`."""

import random
from pathlib import Path

import pytest

from tests.acceptance import bad_receivers

_SECONDS = 2


@pytest.mark.slow
def test_a_good_receiver_gets_everything_once_beside_bad_ones_of_every_kind(tmp_path: Path) -> None:
    seed = random.SystemRandom().getrandbits(32)
    said = [f"seed {seed}"]
    summary = bad_receivers.run(_SECONDS, seed, tmp_path, said.append)
    assert summary.broken == [], "\n".join([*said, *summary.lines()])
    assert len(summary.attempts) >= 10
