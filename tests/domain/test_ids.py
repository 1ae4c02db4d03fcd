"""Names for things: they sort by time, and the one delivery of an event to a webhook has one name."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.domain.ids import RANDOM_BITS, EventId, WebhookId, delivery_id, ulid

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
HIGHEST_DICE = 2**RANDOM_BITS - 1

births = st.datetimes(
    EPOCH.replace(tzinfo=None), datetime(9998, 12, 31, tzinfo=UTC).replace(tzinfo=None), timezones=st.just(UTC)
)
dice = st.integers(0, HIGHEST_DICE)


def number_in(text: str) -> int:
    """The 128 bits of a ULID, read digit by digit as the specification has it."""
    number = 0
    for character in text.upper():
        number = number * 32 + "0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(character)
    return number


@given(births, dice)
def test_an_id_is_26_letters_of_crockford_in_lower_case(born_at: datetime, roll: int) -> None:
    assert re.fullmatch("[0-7][0-9a-hjkmnp-tv-z]{25}", ulid(born_at, roll))


@given(births, dice)
def test_an_id_holds_its_millisecond_and_its_dice(born_at: datetime, roll: int) -> None:
    number = number_in(ulid(born_at, roll))
    assert number >> RANDOM_BITS == (born_at - EPOCH) // timedelta(milliseconds=1)
    assert number & HIGHEST_DICE == roll


@given(births, dice, births, dice)
def test_ids_sort_by_birth_and_then_by_dice(one: datetime, roll: int, other: datetime, other_roll: int) -> None:
    def key(born_at: datetime, roll: int) -> tuple[int, int]:
        return (born_at - EPOCH) // timedelta(milliseconds=1), roll

    assert (ulid(one, roll) < ulid(other, other_roll)) == (key(one, roll) < key(other, other_roll))


@given(births, dice, dice)
def test_other_dice_make_another_id(born_at: datetime, one: int, other: int) -> None:
    assert (ulid(born_at, one) == ulid(born_at, other)) == (one == other)


@pytest.mark.parametrize(
    ("born_at", "roll", "text"),
    [
        (EPOCH, 0, "0" * 26),
        (EPOCH, HIGHEST_DICE, "0" * 10 + "z" * 16),
        (EPOCH + timedelta(milliseconds=1), 0, "0000000001" + "0" * 16),
        (EPOCH + timedelta(milliseconds=1469918176385), 0, "01aryz6s41" + "0" * 16),  # the example of the specification
    ],
)
def test_known_instants_have_known_names(born_at: datetime, roll: int, text: str) -> None:
    assert ulid(born_at, roll) == text


events = births.flatmap(lambda born_at: dice.map(lambda roll: EventId(f"evt_{ulid(born_at, roll)}")))
webhooks = st.integers(1, 10**9).map(WebhookId)


@given(events, webhooks, events, webhooks)
def test_a_delivery_has_one_name_and_shares_it_with_no_other(
    event: EventId, webhook: WebhookId, other_event: EventId, other_webhook: WebhookId
) -> None:
    same = (event, webhook) == (other_event, other_webhook)
    assert (delivery_id(event, webhook) == delivery_id(other_event, other_webhook)) == same
    assert delivery_id(event, webhook) == delivery_id(event, webhook)


@given(events, webhooks)
def test_a_delivery_is_named_after_its_event_and_its_webhook(event: EventId, webhook: WebhookId) -> None:
    assert delivery_id(event, webhook) == f"dlv_{event[4:]}_{webhook}"
