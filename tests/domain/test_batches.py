"""When a batch is complete, and what its bytes are."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookline.domain.batches import GATHERING, MAX_BYTES, MAX_EVENTS, batch_body, new_gathering
from hookline.domain.events import SAMPLES, canonical_bytes
from hookline.domain.ids import BatchId, DeliveryId
from tests.fakes import MONDAY

NEW = new_gathering(BatchId(DeliveryId("batch_1")), MONDAY)


def test_the_body_of_a_batch_is_as_canonical_as_what_is_in_it() -> None:
    payloads = list(SAMPLES.values())
    assert batch_body(canonical_bytes(each) for each in payloads) == canonical_bytes(tuple(payloads))


@given(st.lists(st.binary(max_size=20), max_size=8))
def test_its_length_is_counted_as_it_grows(bodies: list[bytes]) -> None:
    gathering = NEW
    for body in bodies:
        gathering = gathering.joined_by(len(body))
    assert (gathering.size, gathering.body_bytes) == (len(bodies), len(batch_body(bodies)))


def test_it_gathers_for_five_minutes() -> None:
    assert NEW.closes_at == MONDAY + GATHERING
    assert NEW.joined_by(1).closes_at == NEW.closes_at
    assert GATHERING.total_seconds() == 300


def test_five_hundred_fill_it() -> None:
    gathering = NEW
    for _ in range(MAX_EVENTS):
        assert not gathering.is_full
        assert gathering.has_place_for(1)
        gathering = gathering.joined_by(1)
    assert gathering.is_full
    assert not gathering.has_place_for(1)
    assert len(json.loads(batch_body([b"1"] * MAX_EVENTS))) == MAX_EVENTS == 500


@pytest.mark.parametrize(("spare", "fits"), [(0, True), (-1, False)])
def test_it_has_place_for_what_fits_in_a_mebibyte_to_the_byte(spare: int, fits: bool) -> None:
    first = b"x" * 1000
    second = b"y" * (MAX_BYTES - len(batch_body([first, b""])) - spare)
    assert NEW.joined_by(len(first)).has_place_for(len(second)) is fits
