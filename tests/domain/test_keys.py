"""API keys: nobody can guess one, and nobody can read one off what is kept."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from hookline.domain.keys import KEY_BYTES, Scope, digest_of, new_key

dice = st.binary(min_size=KEY_BYTES, max_size=KEY_BYTES)


@given(dice)
def test_a_key_carries_all_the_dice_it_was_made_of(rolled: bytes) -> None:
    key = new_key(rolled)
    assert key.startswith("hl_")
    assert bytes.fromhex(key.removeprefix("hl_")) == rolled


def test_a_key_has_192_bits() -> None:
    assert KEY_BYTES * 8 == 192


@given(dice, dice)
def test_other_dice_make_another_key_and_another_digest(one: bytes, other: bytes) -> None:
    assert (new_key(one) == new_key(other)) == (one == other)
    assert (digest_of(new_key(one)) == digest_of(new_key(other))) == (one == other)


@given(dice)
def test_only_a_sha_256_is_kept(rolled: bytes) -> None:
    key = new_key(rolled)
    assert digest_of(key) == hashlib.sha256(key.encode()).hexdigest()


@given(st.text())
def test_anything_that_is_sent_as_a_key_has_a_digest(sent: str) -> None:
    assert len(digest_of(sent)) == 64


def test_there_are_three_scopes() -> None:
    assert {scope.value for scope in Scope} == {"admin", "ingest", "read"}
