"""Facts are kept as they were told, and a call holds no more of them than it may."""

import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.domain.calls_in_the_air import MOST_FACTS
from hookline.domain.kept_facts import MOST_TEXT, facts_from_text, facts_to_text, united
from hookline.domain.legs import KINDS, Fact, HungUp, Rang, Shown, Side

AT = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "at": st.datetimes(timezones=st.just(UTC)),
    "side": st.sampled_from(Side),
    "places": st.booleans(),
    "sip": st.none() | st.integers(100, 699),
    "q850": st.none() | st.integers(0, 127),
    "rang_at": st.none() | st.datetimes(timezones=st.just(UTC)),
    "ended_at": st.datetimes(timezones=st.just(UTC)),
}


def of_kind(kind: type[Fact]) -> st.SearchStrategy[Fact]:
    return st.builds(kind, **{each.name: _VALUES.get(each.name, st.text(max_size=20)) for each in fields(kind)})


FACTS = st.lists(st.one_of([of_kind(kind) for kind in KINDS.values()])).map(tuple)


@given(FACTS)
def test_what_is_kept_is_what_was_told_to_the_microsecond(facts: tuple[Fact, ...]) -> None:
    kept = facts_to_text(facts)
    assert facts_from_text(kept) == facts
    assert kept.isascii()


@pytest.mark.parametrize(
    "of_another_version",
    [
        ["Teleported", {"leg": "a", "at": 0}],
        ["Rang", {"leg": "a"}],
        ["Redialled", {"leg": "a", "at": 0}],
        ["LegStarted", {"leg": "a", "at": 0, "side": "beyond", "places": True}],
    ],
    ids=["a kind", "without its instant", "without what it says", "a side"],
)
def test_what_another_version_kept_is_passed_over_and_the_rest_is_read(of_another_version: list[Any]) -> None:
    known = Rang(leg="a", at=AT)
    text = json.dumps([of_another_version, *json.loads(facts_to_text([known]))])
    assert facts_from_text(text) == (known,)


def test_what_another_version_says_more_of_a_fact_is_passed_over() -> None:
    [[kind, said]] = json.loads(facts_to_text([Rang(leg="a", at=AT)]))
    assert facts_from_text(json.dumps([[kind, {**said, "loudly": True}]])) == (Rang(leg="a", at=AT),)


def test_each_fact_is_there_once_and_in_the_order_in_which_it_came() -> None:
    first, second, third = (Rang(leg=leg, at=AT) for leg in "bca")
    whole = united((first, second), (second, third, third, first))
    assert whole.facts == (first, second, third)
    assert (whole.new, whole.dropped) == ((third,), 0)


def test_a_fact_of_another_instant_is_another_fact() -> None:
    rang = Rang(leg="a", at=AT)
    assert len(united((rang,), (replace(rang, at=AT + timedelta(microseconds=1)),)).facts) == 2


def _many(count: int, kind: type[Fact] = Rang) -> tuple[Fact, ...]:
    return tuple(kind(leg="a", at=AT + timedelta(seconds=second)) for second in range(count))


def test_a_call_that_has_all_that_it_may_still_hears_what_ends() -> None:
    full = united((), _many(MOST_FACTS + 3))
    assert (len(full.facts), full.dropped) == (MOST_FACTS, 3)
    ended = united(full.facts, (Rang(leg="b", at=AT), HungUp(leg="a", at=AT)))
    assert ended.facts[-1] == HungUp(leg="a", at=AT)
    assert (len(ended.new), ended.dropped) == (1, 1)


def test_also_of_ends_there_is_a_most() -> None:
    whole = united((), _many(3 * MOST_FACTS, HungUp))
    assert len(whole.facts) == 2 * MOST_FACTS


def test_a_fact_with_an_endless_text_is_dropped() -> None:
    whole = united(
        (), (Shown(leg="a", at=AT, shows="1" * (MOST_TEXT + 1)), Shown(leg="a", at=AT, shows="1" * MOST_TEXT))
    )
    assert (len(whole.new), whole.dropped) == (1, 1)
