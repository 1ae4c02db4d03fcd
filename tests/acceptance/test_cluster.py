"""A slice of the run of several nodes, with another seed each time. The whole: `python -m tests.acceptance.cluster`."""

import random
from pathlib import Path

import pytest

from tests.acceptance import cluster

_ROUNDS = 5


@pytest.mark.slow
def test_whatever_befalls_nodes_and_their_database_no_promise_is_broken(tmp_path: Path) -> None:
    seed = random.SystemRandom().getrandbits(32)
    said = [f"seed {seed}"]
    summary = cluster.run(_ROUNDS, seed, tmp_path, said.append)
    assert summary.broken == [], "\n".join([*said, *summary.lines()])
