"""Calls in the air: which legs are one call, when it is over, and that nothing is remembered for ever."""

from datetime import UTC, datetime, timedelta

from hookline.domain.calls_in_the_air import MOST_IN_VAIN, CallsInTheAir
from hookline.domain.legs import Fact, HungUp, Joined, LegStarted, Rang, RangInVain, RecordingKept, Side, Together

_T0 = datetime(2026, 11, 23, 9, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return _T0 + timedelta(seconds=seconds)


def begins(leg: str, group: str, seconds: float, side: Side = Side.OURS) -> list[Fact]:
    started = LegStarted(leg=leg, at=at(seconds), side=side, places=False)
    return [started, Together(leg=leg, at=at(seconds), group=group)]


def ends(leg: str, seconds: float) -> list[Fact]:
    return [HungUp(leg=leg, at=at(seconds))]


def test_a_call_is_over_when_the_last_of_its_legs_is() -> None:
    air = CallsInTheAir()
    assert not air.feed([*begins("a", "g", 0), *begins("b", "g", 1), *ends("a", 2)])
    assert len(air) == 1
    [call] = air.feed(ends("b", 3))
    assert (call.key, len(air)) == ("a", 0)
    assert [type(fact).__name__ for fact in call.facts] == ["LegStarted", "HungUp", "RangInVain"]


def test_machines_are_not_waited_for() -> None:
    air = CallsInTheAir()
    air.feed([*begins("a", "g", 0), *begins("m", "g", 0, Side.NOBODY)])
    assert [call.key for call in air.feed(ends("a", 1))] == ["a"]


def test_what_comes_late_is_told_with_the_call_again() -> None:
    air = CallsInTheAir()
    air.feed([*begins("a", "g", 0), *ends("a", 1)])
    [call] = air.feed([RecordingKept(leg="a", at=at(9))])
    assert isinstance(call.facts[-1], RecordingKept)


def test_calls_that_share_a_leg_by_now_are_one_under_the_earlier_s_key() -> None:
    air = CallsInTheAir()
    air.feed([*begins("b", "h", 5), *begins("c", "h", 5), *begins("a", "g", 0)])
    air.feed([Together(leg="c", at=at(6), group="g")])
    assert len(air) == 1
    assert not air.feed([*ends("b", 7), *ends("c", 8)])
    [call] = air.feed(ends("a", 9))
    assert call.key == "a"
    assert {fact.leg for fact in call.facts if not isinstance(fact, RangInVain)} == {"a"}


def test_a_leg_whose_beginning_nobody_saw_is_nothing() -> None:
    air = CallsInTheAir()
    assert not air.feed([Together(leg="x", at=at(0), group="g"), *ends("x", 1)])
    assert len(air) == 0


def test_what_is_missing_once_may_be_a_matter_of_order_and_twice_it_has_gone() -> None:
    air = CallsInTheAir()
    air.feed([*begins("a", "g", 0), *begins("b", "h", 1)])
    assert not air.missing(["b"])
    air.feed([Together(leg="a", at=at(2), group="g")])  # it lives
    assert not air.missing(["b"])
    [gone] = air.missing(["b"])
    assert gone == HungUp(leg="a", at=at(2), heard=False)
    assert [call.key for call in air.feed([gone])] == ["a"]


def test_nothing_is_remembered_for_ever() -> None:
    air = CallsInTheAir()
    for number in range(3_000):
        leg, group = f"a{number}", f"g{number}"
        air.feed([*begins(leg, group, number), *begins(f"b{number}", group, number), *ends(leg, number)])
        air.feed(ends(f"b{number}", number + 1))
    assert len(air._by_leg) == 2 * 1_000
    assert len(air._by_group) == 1_000
    air.feed(begins("silent", "s", 3_000))
    assert air.forget(at(3_000) + timedelta(hours=25)) == 1
    assert "silent" not in air._by_leg


def test_one_call_s_facts_are_bounded_and_its_end_is_heard_all_the_same() -> None:
    air = CallsInTheAir()
    air.feed(begins("a", "g", 0))
    air.feed([Joined(leg="a", at=at(number), bridge="b") for number in range(10_000)])
    [call] = air.feed(ends("a", 10_000))
    assert len(call.facts) <= 2_001


def test_a_queue_may_ring_phones_for_as_long_as_it_likes() -> None:
    air = CallsInTheAir()
    contact = LegStarted(leg="c", at=at(0), side=Side.OUTSIDE, places=True, dialled="+441400800008")
    air.feed([contact, Together(leg="c", at=at(0), group="g")])
    for number in range(1_000):
        leg = f"u{number}"
        air.feed([*begins(leg, "g", number), Rang(leg=leg, at=at(number)), *ends(leg, number + 6)])
    air.feed([*begins("u", "g", 1_000), *(Joined(leg=leg, at=at(1_001), bridge="b") for leg in ("c", "u"))])
    [call] = air.feed([*ends("c", 1_010), *ends("u", 1_010)])
    assert len(call.facts) == 6 + MOST_IN_VAIN
    first = next(fact for fact in call.facts if isinstance(fact, RangInVain))
    assert first == RangInVain(leg="u0", at=at(0), identity="", rang_at=at(0), ended_at=at(6))


def test_a_call_whose_last_hang_up_was_lost_is_over_ten_minutes_after_the_contact_went() -> None:
    air = CallsInTheAir()
    contact = LegStarted(leg="c", at=at(0), side=Side.OUTSIDE, places=True, dialled="+441400800008")
    air.feed([contact, *begins("u", "g", 1), Together(leg="c", at=at(1), group="g"), *ends("c", 60)])
    assert not air.lingering(at(600))
    assert [call.key for call in air.lingering(at(661))] == ["c"]
    assert not air.lingering(at(9_999))
    assert len(air) == 0


def test_those_who_are_in_one_bridge_at_the_same_time_are_one_call() -> None:
    air = CallsInTheAir()
    air.feed([*begins("a", "g", 0), *begins("b", "h", 1)])
    air.feed([Joined(leg="a", at=at(2), bridge="room"), Joined(leg="b", at=at(3), bridge="room")])
    assert not air.feed(ends("a", 4))
    [call] = air.feed(ends("b", 5))
    assert {fact.leg for fact in call.facts} == {"a", "b"}


def test_a_bridge_whose_call_is_over_joins_nobody_to_that_call() -> None:
    air = CallsInTheAir()
    air.feed([*begins("a", "g", 0), Joined(leg="a", at=at(1), bridge="room"), *ends("a", 2)])
    air.feed([*begins("b", "h", 3), Joined(leg="b", at=at(4), bridge="room")])
    assert len(air) == 1
    [call] = air.feed(ends("b", 5))
    assert (call.key, {fact.leg for fact in call.facts}) == ("b", {"b"})
