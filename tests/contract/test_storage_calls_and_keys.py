"""What the store promises of calls, API keys, and the answers of idempotent requests."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from hookline.domain.calls import NO_TIMES, Call, CallOrigin, CallTimes
from hookline.domain.events import AccountName, CallType, canonical_bytes
from hookline.domain.ids import CallId, ConnectorId, KeyId
from hookline.domain.keys import ApiKey, Scope
from hookline.ports.storage import CallFilter, Page, StoredAnswer, Transaction
from tests.contract.owing import pages
from tests.contract.stores import Store
from tests.fakes import MONDAY, ManualClock
from tests.values import HOUR, MICROSECOND, call_payload

# Calls


def added(store: Store, **changes: Any) -> Call:
    def add(tx: Transaction) -> Call:
        payload = call_payload(**changes)
        body = canonical_bytes(payload)
        call = Call(id=CallId(f"call_{tx.ulid()}"), payload=payload, body=body, source="api", created_at=tx.now)
        tx.phone.add(call)
        return call

    return store.write(add)


def listed(store: Store, wanted: CallFilter) -> Sequence[Call]:
    page: Page[Call] = store.read(lambda tx: tx.phone.calls(wanted, limit=100, cursor=None))
    return page.items


def test_a_call_reads_as_it_was_added(store: Store) -> None:
    call = added(store, account_name=AccountName(family_name="Ng", given_name="Zoë"), phone_number="", recording=True)
    assert store.read(lambda tx: tx.phone.call(call.id)) == call


@pytest.mark.parametrize(
    ("times", "origin"),
    [
        (CallTimes(started_at=MONDAY, answered_at=MONDAY + MICROSECOND, ended_at=MONDAY + HOUR), None),
        (CallTimes(ended_at=MONDAY, end_is_estimated=True), None),
        (NO_TIMES, CallOrigin(connector_id=ConnectorId("con_a"), external_id="pbx-1717.42 ü")),
    ],
)
def test_when_a_call_was_and_who_told_of_it_read_as_they_were_added(
    store: Store, times: CallTimes, origin: CallOrigin | None
) -> None:
    def add(tx: Transaction) -> None:
        payload = call_payload()
        plain = Call(
            id=CallId("call_a"), payload=payload, body=canonical_bytes(payload), source="api", created_at=tx.now
        )
        tx.phone.add(plain)
        tx.phone.add(replace(plain, id=CallId("call_b"), times=times, origin=origin))

    store.write(add)
    [other, plain] = listed(store, CallFilter())
    assert (plain.times, plain.origin) == (NO_TIMES, None)
    assert (other.times, other.origin) == (times, origin)
    assert store.read(lambda tx: tx.phone.call("call_b")) == other


def test_a_call_that_is_not_there_is_none(store: Store) -> None:
    assert store.read(lambda tx: tx.phone.call("call_nothing")) is None


def test_calls_are_listed_the_latest_made_first(store: Store) -> None:
    made = [added(store) for _ in range(3)]
    assert listed(store, CallFilter()) == made[::-1]


@pytest.mark.parametrize("limit", range(1, 9))
def test_pages_of_calls_show_each_once(store: Store, limit: int) -> None:
    made = [added(store) for _ in range(7)]

    def fetch(limit: int, cursor: str | None) -> Page[Call]:
        page: Page[Call] = store.read(lambda tx: tx.phone.calls(CallFilter(), limit=limit, cursor=cursor))
        added(store)  # meanwhile others are reported, and do not get in between
        return page

    assert pages(fetch, limit) == made[::-1]


@pytest.mark.parametrize("limit", range(1, 5))
def test_pages_of_calls_may_begin_with_the_oldest(store: Store, limit: int) -> None:
    made = [added(store) for _ in range(4)]

    def fetch(limit: int, cursor: str | None) -> Page[Call]:
        page: Page[Call] = store.read(
            lambda tx: tx.phone.calls(CallFilter(), limit=limit, cursor=cursor, oldest_first=True)
        )
        return page

    assert pages(fetch, limit) == made


@pytest.mark.parametrize("kind", CallType)
def test_calls_are_found_by_type(store: Store, kind: CallType) -> None:
    made = {each: added(store, type=each, duration_seconds=0) for each in CallType}
    assert listed(store, CallFilter(type=kind)) == [made[kind]]


def test_calls_are_found_by_number_and_line_and_both(store: Store) -> None:
    here = added(store, phone_line="+441400800008", phone_number="+14002007868")
    there = added(store, phone_line="+441400800009", phone_number="+14002007868")
    assert listed(store, CallFilter(phone_number="+14002007868")) == [there, here]
    assert listed(store, CallFilter(phone_line="+441400800009")) == [there]
    assert listed(store, CallFilter(phone_line="+441400800008", phone_number="+14002007868")) == [here]
    assert not listed(store, CallFilter(phone_line="+441400800008", phone_number="+441400800009"))


def test_calls_are_found_by_when_they_were_reported_the_end_of_the_span_excluded(
    store: Store, clock: ManualClock
) -> None:
    early = added(store)
    clock.set_wall(MONDAY + HOUR)
    late = added(store)
    assert listed(store, CallFilter(from_at=MONDAY)) == [late, early]
    assert listed(store, CallFilter(from_at=MONDAY + MICROSECOND)) == [late]
    assert listed(store, CallFilter(to_at=MONDAY + HOUR)) == [early]
    assert listed(store, CallFilter(from_at=MONDAY + HOUR, to_at=MONDAY + HOUR + MICROSECOND)) == [late]


# Keys


def keys(store: Store) -> Sequence[ApiKey]:
    found: Sequence[ApiKey] = store.read(lambda tx: tx.keys.all())
    return found


def added_key(store: Store, digest: str) -> ApiKey:
    def add(tx: Transaction) -> ApiKey:
        made_by = KeyId(f"key_{tx.ulid()}")
        key = ApiKey(id=made_by, name="Zoë", scope=Scope.READ, digest=digest, created_at=tx.now + MICROSECOND)
        tx.keys.add(key)
        return key

    return store.write(add)


def test_a_key_is_found_by_its_digest_and_by_no_other(store: Store) -> None:
    key = added_key(store, "d1")
    added_key(store, "d2")
    assert store.read(lambda tx: tx.keys.by_digest("d1")) == key
    assert store.read(lambda tx: tx.keys.by_digest("d3")) is None


def test_keys_are_listed_by_creation(store: Store) -> None:
    made = [added_key(store, digest) for digest in ("z", "a", "m")]
    assert keys(store) == made


def test_a_removed_key_is_gone_and_removing_none_says_so(store: Store) -> None:
    gone, stays = added_key(store, "d1"), added_key(store, "d2")
    assert store.write(lambda tx: tx.keys.remove(gone.id)) is True
    assert store.write(lambda tx: tx.keys.remove(gone.id)) is False
    assert store.read(lambda tx: tx.keys.by_digest("d1")) is None
    assert keys(store) == [stays]


# Answers of idempotent requests


def kept(store: Store, owner: str, key: str, **changes: Any) -> StoredAnswer:
    values = {"fingerprint": "f", "status": 201, "body": b'{"id":"\xc3\xab"}', "created_at": MONDAY, **changes}
    answer = StoredAnswer(**values)
    store.write(lambda tx: tx.answers.keep(owner, key, answer))
    return answer


def answer(store: Store, owner: str, key: str) -> StoredAnswer | None:
    found: StoredAnswer | None = store.read(lambda tx: tx.answers.answer(owner, key))
    return found


def test_an_answer_belongs_to_its_owner_and_its_key(store: Store) -> None:
    one = kept(store, "key_1", "k")
    other = kept(store, "key_2", "k", status=200, body=b"\x00\xff")
    assert answer(store, "key_1", "k") == one
    assert answer(store, "key_2", "k") == other
    assert answer(store, "key_1", "K") is None
    assert answer(store, "key_3", "k") is None


def test_an_answer_takes_the_place_of_an_older_one(store: Store) -> None:
    kept(store, "key_1", "k")
    newer = kept(store, "key_1", "k", fingerprint="g", status=200, body=b"", created_at=MONDAY + HOUR)
    assert answer(store, "key_1", "k") == newer


def test_answers_made_before_an_instant_are_forgotten_a_few_at_a_time(store: Store) -> None:
    for minutes in range(5):
        kept(store, "key_1", f"k{minutes}", created_at=MONDAY + minutes * HOUR)

    def forget(limit: int) -> int:
        forgotten: int = store.write(lambda tx: tx.answers.forget_before(MONDAY + 3 * HOUR, limit=limit))
        return forgotten

    assert [forget(2), forget(2), forget(2)] == [2, 1, 0]
    assert [answer(store, "key_1", f"k{number}") is None for number in range(5)] == [True] * 3 + [False] * 2


def test_of_an_idempotency_key_only_a_digest_is_kept(store: Store) -> None:
    given = StoredAnswer(fingerprint="f", status=201, body=b"{}", created_at=MONDAY)
    for owner in ("key_1", "key_2"):
        store.write(keep_answer, owner, "order of bo@example.com", given)
    kept = [str(row) for row in store.connection.execute("SELECT * FROM answer").fetchall()]
    assert len(set(kept)) == 2
    assert "bo@example.com" not in "".join(kept)
    assert store.read(lambda tx: tx.answers.answer("key_1", "order of bo@example.com")) == given
    for other in ("order of cy@example.com", kept_key(store)):
        assert store.read(answer_to, "key_1", other) is None


def keep_answer(tx: Transaction, owner: str, key: str, answer: StoredAnswer) -> None:
    tx.answers.keep(owner, key, answer)


def answer_to(tx: Transaction, owner: str, key: str) -> StoredAnswer | None:
    return tx.answers.answer(owner, key)


def kept_key(store: Store) -> str:
    """What is kept in place of the key."""
    [(key,), *_] = store.connection.execute("SELECT key FROM answer WHERE owner = 'key_1'").fetchall()
    return str(key)


def test_an_answer_that_the_version_before_kept_under_the_key_itself_is_found(store: Store) -> None:
    given = StoredAnswer(fingerprint="f", status=201, body=b"{}", created_at=MONDAY)
    store.write(lambda tx: tx.answers.keep("key_1", "order-4711", given))
    store.connection.execute("UPDATE answer SET key = 'order-4711'")
    store.connection.commit()
    assert store.read(lambda tx: tx.answers.answer("key_1", "order-4711")) == given
    later = StoredAnswer(fingerprint="g", status=200, body=b"", created_at=MONDAY + HOUR)
    store.write(lambda tx: tx.answers.keep("key_1", "order-4711", later))
    assert store.read(lambda tx: tx.answers.answer("key_1", "order-4711")) == later
