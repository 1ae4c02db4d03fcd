"""A store in which everything is that a store can have, made by a running engine and the services, and then left as a
process leaves it that is killed.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

from hookline.domain.backoff import own_policy
from hookline.domain.events import EventKind
from hookline.domain.ids import ConnectorId, NoticeId
from hookline.domain.keys import Scope
from hookline.domain.legs import LegStarted, Side
from hookline.domain.processes import Only
from hookline.domain.webhooks import Header
from hookline.ports.intake import HeardCall
from hookline.ports.sender import Post
from hookline.ports.storage import Transaction
from hookline.services.booking import book_meeting, cancel_meeting, reschedule_meeting
from hookline.services.calls import report_call
from hookline.services.exports import NewExport, begin_export
from hookline.services.idempotency import once
from hookline.services.keys import create_key
from hookline.services.replays import begin_replay
from hookline.services.report_batches import accept_meetings, apply_slice, batch_id_of
from hookline.services.webhooks import create_webhook, delete_webhook, rotate_secret, update_webhook
from tests.contract.test_storage_decisions import LEGS, decision
from tests.contract.test_storage_phonebook import CARRIER, JOHN, LINE, PBX
from tests.engine.house import House, Street
from tests.fakes import Reply
from tests.values import DAY, HOUR, LIMITS, call_payload, details, wanted

#: How each receiver treats what arrives in the first life; in the second all take everything.
MANNERS: Final[dict[str, Reply | None]] = {
    "plain.example": Reply(body=b"\x00\xff taken"),
    "ordered.example": Reply(status=500),
    "batched.example": Reply(status=503),
    "filtered.example": Reply(),
    "failing.example": Reply(status=None, error="It said \0, and broke off."),
    "gone.example": Reply(status=410),
    "dead.example": Reply(status=400, headers=(("X-Reason", "none \u2713"),)),
    "hanging.example": None,
    "told.example": Reply(status=500),
}
_PATIENT: Final = own_policy((7200,) * 50, retry_4xx=True)
_ONCE: Final = own_policy((), retry_4xx=True)
_WEBHOOKS: Final[dict[str, dict[str, Any]]] = {
    "plain.example": {
        "headers": (Header(key="X-Own", value="yes"),),
        "bearer_token": "a token",
        "description": "plain \u00e9",
    },
    "ordered.example": {"ordered": True, "retry_policy": _PATIENT},
    "batched.example": {"batched": True, "retry_policy": _PATIENT},
    "filtered.example": {
        "events": (EventKind.CALL_FINISHED,),
        "filter": (("phone_line", ("+441400800008",)),),
        "rate_limit_per_second": 2.5,
    },
    "failing.example": {"retry_policy": _PATIENT},
    "gone.example": {},
    "dead.example": {"retry_policy": _ONCE},
    "hanging.example": {"retry_policy": _PATIENT},
}


async def fill(street: Street) -> None:
    """Fill the street's database."""
    street.replying = lambda post: MANNERS[post.host]
    async with street.house(stop=False) as house:
        ids = {host: (await house.new_webhook(f"https://{host}/hook", **how)).id for host, how in _WEBHOOKS.items()}
        await house.write(rotate_secret, ids["plain.example"], timedelta(days=3))
        begun_at = house.clock.now()
        await _book(house)
        await house.calls(20)
        await house.pass_by(minutes=6)  # batches leave
        await house.pass_by(days=1, minutes=1)  # owners of webhooks that fail are told
        await _book(house)
        await house.write(update_webhook, ids["filtered.example"], {"description": "changed"}, LIMITS)
        await house.write(_others)
        await house.write(_heard)
        await house.calls(60)
        await house.write(begin_replay, ids["dead.example"], begun_at, None, Only.FAILED)
        await house.write(begin_export, _EXPORT, LIMITS)
        await house.pass_by(seconds=1)
        await house.calls(3)
        await house.write(_stage)


_EXPORT: Final = NewExport(kinds=tuple(EventKind), notify_url="https://told.example/here", days=2)


async def _book(house: House) -> None:
    """Meetings of every fate."""
    now = house.clock.now()
    for minutes in (1, 2, 60 * 24 * 2):
        await house.write(book_meeting, details(now + timedelta(minutes=minutes), meeting_name=f"in {minutes}"))
    moved = await house.write(book_meeting, details(now + HOUR))
    await house.write(reschedule_meeting, moved, now + 5 * DAY, None)
    cancelled = await house.write(book_meeting, details(now + DAY))
    await house.write(cancel_meeting, cancelled, "No longer \u2013 needed")


def _others(tx: Transaction) -> None:
    """Keys, answers, and a webhook that is no longer there: its number is not given again."""
    for scope in Scope:
        create_key(tx, f"for {scope}", scope)
    once(tx, "owner", "Key \u00fc", "print", lambda _: (201, b"\x00\x01"))
    once(tx, "owner", "key", "print", lambda _: (200, b""))
    delete_webhook(tx, create_webhook(tx, replace(wanted(), url="https://last.example/"), LIMITS).id)
    tx.phonebook.keep_user(JOHN)
    tx.phonebook.keep_line(LINE)
    tx.phonebook.keep_connector(PBX)
    tx.phonebook.keep_connector(CARRIER)
    tx.phonebook.count_unknown_line("+441632960999")
    tx.notices.count_unknown_number(NoticeId(f"ntc_{tx.ulid()}"), PBX.id, "+## ###")


def _stage(tx: Transaction) -> None:
    """A batch that was accepted, and of which a part was applied."""
    staged = accept_meetings(tx, [details(tx.now + DAY, meeting_name=f"Staged {number}") for number in range(200)])
    assert apply_slice(tx, batch_id_of(staged.ids))


def _heard(tx: Transaction) -> None:
    """A call that is not over, and one that is settled."""
    heard = HeardCall(
        connector_id=ConnectorId("con_1"),
        call_key="open",
        kind="asterisk",
        region="GB",
        facts=(LegStarted(leg="a", at=tx.now, side=Side.OUTSIDE, places=True, shows="+14002007868"),),
        due_at=tx.now + 100 * DAY,
        updated_at=tx.now,
    )
    tx.intake.keep(heard)
    tx.intake.keep(replace(heard, call_key="settled", facts=(), due_at=None, reason="internal"))
    other = replace(LEGS, legs=(*LEGS.legs, replace(LEGS.legs[0], number="+441632960999")))
    report_call(tx, call_payload(), source="asterisk", legs=other)
    tx.decisions.note(decision())
    tx.intake.name(heard.connector_id, heard.call_key, ["leg-1", "leg-2"], told="leg-1")


def arrivals(posts: Sequence[Post]) -> Counter[tuple[str, str]]:
    """How often what arrived where: host, and id of event or batch."""
    return Counter(
        (post.host, dict(post.headers)["webhook-id"]) for post in posts if "webhook-id" in dict(post.headers)
    )
