"""All kinds of attacks in families, and what share each family has of the attacks."""

import random
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from tests.acceptance.hostile import bodies, framing, heads, intake, pipelines, slow, targets
from tests.acceptance.hostile.attack import Attack, Maker, World

#: Families of attacks that are over in a moment. A pipeline is one attack, however many requests are in it.
_SHARES: Final[dict[str, tuple[Sequence[tuple[Maker, int]], int]]] = {
    "heads": (heads.KINDS, 26),
    "framing": (framing.KINDS, 16),
    "targets": (targets.KINDS, 18),
    "bodies": (bodies.KINDS, 22),
    "intake": (intake.KINDS, 8),
    "pipelines": (pipelines.KINDS, 12),
}
SLOW: Final = "slow"
FAMILIES: Final = (*_SHARES, SLOW)


class Grammar:
    """Chooses attacks of some families by seeded dice."""

    def __init__(self, families: Sequence[str], world: World, dice: random.Random) -> None:
        self._world = world
        self._dice = dice
        quick = [each for family in families if family != SLOW for each in _weighted(family)]
        self._quick = [maker for maker, _ in quick]
        self._quick_weights = list(accumulate(weight for _, weight in quick))
        self._slow = [maker for maker, _ in slow.KINDS]
        self._slow_weights = list(accumulate(weight for _, weight in slow.KINDS))

    def attack(self) -> Attack:
        """One that is over in a moment."""
        return self._dice.choices(self._quick, cum_weights=self._quick_weights)[0](self._dice, self._world)

    def slow_attack(self) -> Attack:
        """One that holds its connection for as long as the server lets it."""
        return self._dice.choices(self._slow, cum_weights=self._slow_weights)[0](self._dice, self._world)


def _weighted(family: str) -> list[tuple[Maker, float]]:
    """The kinds of a family, with their share of all attacks."""
    kinds, share = _SHARES[family]
    total = sum(weight for _, weight in kinds)
    return [(maker, share * weight / total) for maker, weight in kinds]
