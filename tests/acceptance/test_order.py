"""A short slice of the order test, with another seed each time. The whole of it: `python -m tests.acceptance.order`."""

import random
from pathlib import Path

import pytest

from tests.acceptance import order

_EVENTS = 2000


@pytest.mark.slow
def test_whatever_fails_the_order_of_a_subject_is_never_broken(tmp_path: Path) -> None:
    seed = random.SystemRandom().getrandbits(32)
    said = [f"seed {seed}"]
    summary = order.run(_EVENTS, seed, tmp_path, said.append)
    assert summary.broken == [], "\n".join([*said, *summary.lines()])
