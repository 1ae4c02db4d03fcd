"""Receivers are made, changed, tested and removed, and what is owed to one that goes is withdrawn."""

from dataclasses import replace
from datetime import timedelta

import pytest

from hookline.domain.backoff import BREVO
from hookline.domain.deliveries import State
from hookline.domain.events import SAMPLES, EventKind, canonical_bytes
from hookline.domain.networks import AllowedNetworks
from hookline.domain.webhooks import Header
from hookline.errors import Invalid, NotFound
from hookline.services.booking import book_meeting, cancel_meeting
from hookline.services.calls import report_call, report_calls
from hookline.services.deliveries import read_delivery
from hookline.services.webhooks import (
    BY_HAND,
    MAX_SECRETS,
    Limits,
    create_webhook,
    delete_webhook,
    disable_webhook,
    list_webhooks,
    read_webhook,
    rotate_secret,
    send_test,
    update_webhook,
)
from tests.contract.stores import Store
from tests.fakes import MONDAY, ManualClock
from tests.services.reading import claim_all, events, new_webhook, owed, settle, webhook_now
from tests.values import DAY, HOUR, LIMITS, MICROSECOND, accepted, call_payload, details, refused, wanted

# Making


def test_a_webhook_is_made_as_it_was_wanted_with_a_secret_of_its_own(store: Store) -> None:
    asked = wanted(
        "https://user:pw@receiver.example:8443/hook?x=1",
        events=(EventKind.CALL_FINISHED, EventKind.MEETING_BOOKED),
        description="Front desk",
        headers=(Header(key="X-Team", value="a"),),
        retry_policy=BREVO,
        timeout_seconds=7,
    )
    made = store.write(create_webhook, asked, LIMITS)
    assert made == store.read(read_webhook, made.id)
    assert (made.url, made.events, made.description) == (asked.url, asked.events, asked.description)
    assert (made.headers, made.retry_policy, made.timeout_seconds) == (asked.headers, BREVO, 7)
    assert (made.is_active, made.disabled_reason) == (True, "")
    assert (made.created_at, made.modified_at) == (MONDAY, MONDAY)
    [secret] = made.secrets
    assert secret.value.startswith("whsec_")
    assert secret.expires_at is None


def test_no_two_webhooks_share_a_secret(store: Store) -> None:
    assert len({new_webhook(store).secrets[0].value for _ in range(20)}) == 20


def test_there_are_as_many_webhooks_as_the_installation_allows(store: Store) -> None:
    limits = Limits(max_webhooks=2, allowed_networks=AllowedNetworks())
    first = store.write(create_webhook, wanted(), limits)
    store.write(create_webhook, wanted(), limits)
    with pytest.raises(Invalid, match="2") as refusal:
        store.write(create_webhook, wanted(), limits)
    assert refusal.value.code == "bad_request"
    assert "HOOKLINE_MAX_WEBHOOKS" in refusal.value.hint
    store.write(delete_webhook, first.id)
    store.write(create_webhook, wanted(), limits)


def test_one_that_is_disabled_counts_too(store: Store) -> None:
    limits = Limits(max_webhooks=1, allowed_networks=AllowedNetworks())
    store.write(disable_webhook, store.write(create_webhook, wanted(), limits), "Gone.")
    with pytest.raises(Invalid):
        store.write(create_webhook, wanted(), limits)


@pytest.mark.parametrize(
    "url",
    [
        *(
            "http://127.0.0.1/",
            "http://10.0.0.1/hook",
            "https://[::1]/",
            "http://169.254.169.254/latest",
            "http://0x7f.1/",
        ),
        *("ftp://receiver.example/", "receiver.example", "https://receiver.example/#there", "https://a b.example/"),
    ],
)
def test_one_that_could_never_be_delivered_to_is_refused(store: Store, url: str) -> None:
    with pytest.raises(Invalid) as refusal:
        store.write(create_webhook, wanted(url), LIMITS)
    assert refusal.value.fields[0].field == "url"
    assert not store.read(list_webhooks)


def test_a_network_that_is_allowed_may_be_delivered_to(store: Store) -> None:
    limits = Limits(max_webhooks=40, allowed_networks=AllowedNetworks(["127.0.0.0/8"]))
    store.write(create_webhook, wanted("http://127.0.0.1:8080/hook"), limits)
    with pytest.raises(Invalid):
        store.write(create_webhook, wanted("http://10.0.0.1/"), limits)


def test_two_sources_of_authorization_are_refused(store: Store) -> None:
    with pytest.raises(Invalid, match="Authorization"):
        new_webhook(store, "https://user@receiver.example/", bearer_token="t")


# Changing


def test_an_update_changes_what_it_names_and_nothing_else(store: Store, clock: ManualClock) -> None:
    made = new_webhook(store, description="before")
    clock.advance(seconds=60)
    store.write(update_webhook, made.id, {"description": "after", "timeout_seconds": 3}, LIMITS)
    later = MONDAY + timedelta(seconds=60)
    assert webhook_now(store, made) == replace(made, description="after", timeout_seconds=3, modified_at=later)


def test_an_update_that_changes_nothing_modifies_nothing(store: Store, clock: ManualClock) -> None:
    made = new_webhook(store)
    clock.advance(seconds=60)
    store.write(update_webhook, made.id, {"url": made.url, "is_active": True}, LIMITS)
    store.write(update_webhook, made.id, {}, LIMITS)
    assert webhook_now(store, made) == made


def test_an_update_to_where_nothing_can_be_delivered_is_refused_and_changes_nothing(store: Store) -> None:
    made = new_webhook(store)
    for changes in ({"url": "http://127.0.0.1/"}, {"url": "https://u:p@a.example/", "bearer_token": "t"}):
        with pytest.raises(Invalid):
            store.write(update_webhook, made.id, changes, LIMITS)
    assert webhook_now(store, made) == made


def test_a_webhook_that_is_not_there_is_not_found(store: Store) -> None:
    for act in (
        lambda: store.read(read_webhook, 9),
        lambda: store.write(update_webhook, 9, {}, LIMITS),
        lambda: store.write(delete_webhook, 9),
        lambda: store.write(rotate_secret, 9, HOUR),
        lambda: store.write(send_test, 9, EventKind.CALL_FINISHED),
    ):
        with pytest.raises(NotFound):
            act()


def test_what_is_pending_follows_the_new_values(store: Store) -> None:
    made = new_webhook(store)
    store.write(report_call, call_payload())
    store.write(update_webhook, made.id, {"url": "https://elsewhere.example/"}, LIMITS)
    [claim] = claim_all(store)
    assert claim.webhook.target.host == "elsewhere.example"


def test_what_gathers_goes_at_once_when_batches_end_and_in_time_when_something_else_changes(
    store: Store,
) -> None:
    made = new_webhook(store, batched=True)
    store.write(report_calls, [call_payload()] * 2)
    store.write(update_webhook, made.id, {"description": "x"}, LIMITS)
    assert not claim_all(store)
    store.write(update_webhook, made.id, {"batched": False}, LIMITS)
    store.write(report_call, call_payload())
    assert sorted(claim.batch_size or 0 for claim in claim_all(store)) == [0, 2]


def test_what_gathers_for_a_host_that_rests_goes_when_it_has_rested(store: Store, clock: ManualClock) -> None:
    made = new_webhook(store, batched=True)
    store.write(lambda tx: tx.outbox.rest([made.id], MONDAY + HOUR))
    store.write(report_call, call_payload())
    store.write(update_webhook, made.id, {"batched": False}, LIMITS)
    assert not claim_all(store)
    clock.set_wall(MONDAY + HOUR)
    assert [claim.batch_size for claim in claim_all(store)] == [1]


def test_a_rest_ends_with_the_url_that_it_was_for(store: Store) -> None:
    made = new_webhook(store)
    store.write(lambda tx: tx.outbox.rest([made.id], MONDAY + HOUR))
    store.write(update_webhook, made.id, {"description": "same place"}, LIMITS)
    assert webhook_now(store, made).rests_until == MONDAY + HOUR
    store.write(update_webhook, made.id, {"url": "https://elsewhere.example/"}, LIMITS)
    assert webhook_now(store, made).rests_until is None


# Disabling, enabling, deleting


def test_disabling_withdraws_what_is_pending_and_owes_nothing_more(store: Store) -> None:
    made = new_webhook(store)
    store.write(report_call, call_payload())
    store.write(update_webhook, made.id, {"is_active": False}, LIMITS)
    store.write(report_call, call_payload())
    assert [delivery.status for delivery in owed(store)] == [State.WITHDRAWN]
    assert (webhook_now(store, made).is_active, webhook_now(store, made).disabled_reason) == (False, BY_HAND)
    assert len(events(store)) == 2


def test_enabling_forgets_the_reason_and_owes_what_happens_from_then_on(store: Store) -> None:
    made = new_webhook(store)
    store.write(disable_webhook, made, "Gone.")
    store.write(report_call, call_payload())
    store.write(update_webhook, made.id, {"is_active": True}, LIMITS)
    store.write(report_call, call_payload())
    assert (webhook_now(store, made).is_active, webhook_now(store, made).disabled_reason) == (True, "")
    assert [delivery.event_id for delivery in owed(store)] == [events(store)[1].id]


def test_an_update_of_a_disabled_webhook_keeps_the_reason(store: Store) -> None:
    made = new_webhook(store)
    store.write(disable_webhook, made, "Gone.")
    store.write(update_webhook, made.id, {"description": "x", "is_active": False}, LIMITS)
    assert webhook_now(store, made).disabled_reason == "Gone."


def test_deleting_withdraws_what_is_pending_and_keeps_the_record(store: Store) -> None:
    made, other = new_webhook(store), new_webhook(store)
    store.write(report_call, call_payload())
    store.write(delete_webhook, made.id)
    assert store.read(list_webhooks) == [other]
    assert [delivery.status for delivery in owed(store)] == [State.WITHDRAWN, State.PENDING]
    assert [claim.webhook for claim in claim_all(store)] == [other]


def test_what_is_being_sent_when_its_webhook_is_deleted_may_still_arrive(store: Store) -> None:
    made = new_webhook(store)
    store.write(report_call, call_payload())
    [claim] = claim_all(store)
    store.write(delete_webhook, made.id)
    settle(store, accepted(claim))
    assert store.read(read_delivery, claim.delivery_id).status is State.DELIVERED


# Secrets


def test_both_secrets_sign_until_the_overlap_is_over(store: Store, clock: ManualClock) -> None:
    made = new_webhook(store)
    old = made.secrets[0].value
    clock.advance(seconds=60)
    new = store.write(rotate_secret, made.id, DAY)
    rotated = webhook_now(store, made)
    now = MONDAY + timedelta(seconds=60)
    assert new.startswith("whsec_")
    assert new != old
    assert rotated.modified_at == now
    assert rotated.secrets_at(now) == rotated.secrets_at(now + DAY - MICROSECOND) == (new, old)
    assert rotated.secrets_at(now + DAY) == (new,)


def test_without_an_overlap_the_old_secret_is_gone_at_once(store: Store) -> None:
    made = new_webhook(store)
    new = store.write(rotate_secret, made.id, timedelta())
    assert [secret.value for secret in webhook_now(store, made).secrets] == [new]


def test_a_rotation_without_overlap_ends_every_earlier_secret(store: Store, clock: ManualClock) -> None:
    made = new_webhook(store)
    store.write(rotate_secret, made.id, DAY)
    new = store.write(rotate_secret, made.id, timedelta())
    assert webhook_now(store, made).secrets_at(clock.now()) == (new,)


def test_no_more_than_ten_secrets_sign_at_the_same_time(store: Store, clock: ManualClock) -> None:
    made = new_webhook(store)
    newest = [store.write(rotate_secret, made.id, DAY) for _ in range(MAX_SECRETS + 2)][::-1]
    assert webhook_now(store, made).secrets_at(clock.now()) == tuple(newest[:MAX_SECRETS])


def test_secrets_that_are_rotated_again_keep_their_own_ends(store: Store, clock: ManualClock) -> None:
    made = new_webhook(store)
    first = made.secrets[0].value
    second = store.write(rotate_secret, made.id, 2 * HOUR)
    clock.advance(seconds=3600)
    third = store.write(rotate_secret, made.id, 10 * HOUR)
    now = MONDAY + HOUR
    assert webhook_now(store, made).secrets_at(now) == (third, second, first)
    assert webhook_now(store, made).secrets_at(now + HOUR) == (third, second)
    clock.advance(seconds=7200)
    fourth = store.write(rotate_secret, made.id, HOUR)
    assert [secret.value for secret in webhook_now(store, made).secrets] == [fourth, third, second]


# Test sends


@pytest.mark.parametrize("kind", EventKind)
def test_a_test_sends_the_sample_of_the_page_marked_as_a_test(store: Store, kind: EventKind) -> None:
    made, _ = new_webhook(store, events=(EventKind.MEETING_BOOKED,)), new_webhook(store)
    delivery_id = store.write(send_test, made.id, kind)
    [claim] = claim_all(store)
    assert (claim.delivery_id, claim.webhook) == (delivery_id, made)
    assert (claim.event.kind, claim.event.is_test, claim.event.sequence) == (kind, True, 1)
    assert claim.event.body == canonical_bytes(SAMPLES[kind])
    assert claim.event.subject.startswith("call_" if kind is EventKind.CALL_FINISHED else "mtg_")


def test_each_test_has_a_subject_of_its_own(store: Store) -> None:
    made = new_webhook(store)
    for _ in range(3):
        store.write(send_test, made.id, EventKind.CALL_FINISHED)
    assert len({claim.event.subject for claim in claim_all(store)}) == 3


def test_a_test_is_tried_again_like_anything_else(store: Store) -> None:
    made = new_webhook(store)
    delivery_id = store.write(send_test, made.id, EventKind.CALL_FINISHED)
    [claim] = claim_all(store)
    settle(store, refused(claim))
    assert store.read(read_delivery, delivery_id).status is State.PENDING


def test_a_disabled_webhook_is_not_tested(store: Store) -> None:
    made = new_webhook(store)
    store.write(disable_webhook, made, "Gone.")
    with pytest.raises(Invalid, match="Gone") as refusal:
        store.write(send_test, made.id, EventKind.CALL_FINISHED)
    assert refusal.value.code == "bad_request"
    assert "isActive" in refusal.value.hint


# Order


def test_an_order_and_batches_exclude_one_another(store: Store) -> None:
    with pytest.raises(Invalid, match="ordered: expected false while batched is true"):
        store.write(create_webhook, wanted(ordered=True, batched=True), LIMITS)
    made = new_webhook(store, ordered=True)
    with pytest.raises(Invalid, match="ordered"):
        store.write(update_webhook, made.id, {"batched": True}, LIMITS)
    assert webhook_now(store, made) == made


def test_what_is_owed_follows_a_webhook_that_becomes_ordered_and_back(store: Store) -> None:
    made = new_webhook(store)
    meeting = store.write(book_meeting, details())
    store.write(cancel_meeting, meeting, "")
    booked, _ = owed(store)
    for is_ordered, next_attempt_at in ((True, None), (True, None), (False, MONDAY), (True, None)):
        store.write(update_webhook, made.id, {"ordered": is_ordered, "description": str(is_ordered)}, LIMITS)
        assert [each.next_attempt_at for each in owed(store)] == [MONDAY, next_attempt_at]
    assert [claim.delivery_id for claim in claim_all(store)] == [booked.id]
    store.write(update_webhook, made.id, {"is_active": False, "ordered": False}, LIMITS)
    assert [each.status for each in owed(store)] == [State.SENDING, State.WITHDRAWN]


@pytest.mark.parametrize("end", ["settled", "withdrawn", "unordered"])
def test_what_follows_waits_for_what_had_gathered_when_batches_were_given_up_for_order(store: Store, end: str) -> None:
    made = new_webhook(store, batched=True)
    meeting = store.write(book_meeting, details())
    store.write(update_webhook, made.id, {"batched": False, "ordered": True}, LIMITS)
    store.write(cancel_meeting, meeting, "")
    assert [each.next_attempt_at for each in owed(store)] == [MONDAY, None]
    [batch] = claim_all(store)
    assert batch.batch_size == 1
    if end == "settled":
        settle(store, accepted(batch))
        assert [each.status for each in owed(store)] == [State.DELIVERED, State.PENDING]
    elif end == "withdrawn":
        store.write(delete_webhook, made.id)
        settle(store, refused(batch))
        assert [each.status for each in owed(store)] == [State.WITHDRAWN] * 2
        return
    else:
        store.write(update_webhook, made.id, {"ordered": False}, LIMITS)
        assert [each.status for each in owed(store)] == [State.SENDING, State.PENDING]
    [cancelled] = claim_all(store)
    assert (cancelled.batch_size, cancelled.event.sequence) == (None, 2)
