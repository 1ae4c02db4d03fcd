"""A short slice of the hostile run. The whole of it: `python -m tests.acceptance.hostile`."""

import random
from pathlib import Path

import pytest

from tests.acceptance.hostile import run

_REQUESTS = 3_000
_CONNECTIONS = 200
_RATE = 1_000.0


@pytest.mark.slow
def test_hostile_requests_are_refused_and_what_is_accepted_beside_them_is_kept_once(tmp_path: Path) -> None:
    seed = random.SystemRandom().getrandbits(32)
    said = [f"seed {seed}"]
    summary = run.run(_REQUESTS, seed, tmp_path, said.append, connections=_CONNECTIONS, rate=_RATE, niceness=0)
    assert summary.broken == [], "\n".join([*said, *summary.lines()])
    assert summary.outcome is not None
    assert summary.outcome.requests >= _REQUESTS
