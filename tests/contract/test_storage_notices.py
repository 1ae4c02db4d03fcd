"""What the store promises of notices."""

from hookline.domain.ids import WebhookId
from hookline.domain.notices import Notice, NoticeKind
from hookline.services.notices import give_notice, list_notices
from tests.contract.owing import pages
from tests.contract.stores import Store
from tests.fakes import ManualClock


def given(store: Store, message: str = "It fails.") -> Notice:
    return store.write(give_notice, WebhookId(7), NoticeKind.WEBHOOK_FAILING, message)


def test_notices_read_as_they_were_given_the_latest_first(store: Store, clock: ManualClock) -> None:
    made = []
    for name in ("a", "b", "c", "d", "e"):
        made.append(given(store, f"{name}: Zo\u00eb\u2019s does not answer."))
        clock.advance(seconds=0.000001)
    listed = pages(lambda limit, cursor: store.read(list_notices, limit=limit, cursor=cursor), 2)
    assert listed == made[::-1]


def test_there_are_none_at_first(store: Store) -> None:
    assert list(store.read(list_notices, limit=5, cursor=None).items) == []
