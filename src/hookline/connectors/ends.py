"""A leg by its two ends, as providers tell it: who calls, and who is called. Nothing here knows a phone system."""

from datetime import datetime
from typing import Final

from hookline.domain.legs import LegStarted, Side

#: Digits of an extension at most: what is longer is a number of the telephone network.
_MOST_EXTENSION: Final = 6


def leg_between(leg: str, at: datetime, *, places: bool, caller: str, called: str) -> LegStarted:
    """The far end is who calls on a leg that places a call, else who is called on it.

    A plain number is outside. Whose phone an address or an extension is, the phone book knows.
    """
    far = caller if places else called
    digits = far.strip().removeprefix("+")
    if digits.isdigit() and len(digits) > _MOST_EXTENSION:
        return LegStarted(leg=leg, at=at, side=Side.OUTSIDE, places=places, dialled=called, shows=caller)
    return LegStarted(
        leg=leg, at=at, side=Side.BY_PHONE_BOOK, places=places, dialled=called, shows=caller, identity=far
    )
