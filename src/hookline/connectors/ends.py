"""A leg by its two ends, as providers tell it: who calls, and who is called. Nothing here knows a phone system."""

from collections.abc import Container
from datetime import datetime

from hookline.domain.legs import LegStarted, Side


def leg_between(
    leg: str, at: datetime, *, places: bool, caller: str, called: str, is_ours: bool, withheld: Container[str]
) -> LegStarted:
    """The far end is who calls on a leg that places a call, else who is called on it.

    Is it ours, it tells whose phone it is. Else it is a number; one that is written as `withheld` (in small letters) is
    none.
    """
    far = caller if places else called
    if is_ours:
        dialled, shows = (called, "") if places else ("", caller)
        return LegStarted(leg=leg, at=at, side=Side.OURS, places=places, dialled=dialled, shows=shows, identity=far)
    number = "" if far.lower() in withheld else far
    dialled, shows = (called, number) if places else (number, caller)
    return LegStarted(leg=leg, at=at, side=Side.OUTSIDE, places=places, dialled=dialled, shows=shows)
