"""What the store promises of notices."""

from hookline.domain.ids import ConnectorId, WebhookId
from hookline.domain.notices import Notice, NoticeKind
from hookline.services.notices import count_unknown_number, give_notice, list_notices
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


def test_numbers_that_are_not_understood_are_counted_by_connector_and_form(store: Store, clock: ManualClock) -> None:
    one, other = ConnectorId("con_1"), ConnectorId("con_2")
    for connector, told in ((one, "441400A800008"), (one, "441400A800009"), (other, "441400A800008"), (one, "john")):
        store.write(count_unknown_number, connector, told)
        clock.advance(seconds=0.000001)
    first = given(store)
    listed = pages(lambda limit, cursor: store.read(list_notices, limit=limit, cursor=cursor), 2)
    assert listed[0] == first
    assert [(each.connector_id, each.kind, each.calls) for each in listed[1:]] == [
        (one, NoticeKind.NUMBER_NOT_UNDERSTOOD, 1),
        (other, NoticeKind.NUMBER_NOT_UNDERSTOOD, 1),
        (one, NoticeKind.NUMBER_NOT_UNDERSTOOD, 2),
    ]
    assert "'john'" in listed[1].message
    assert "2 calls have a contact's number of the form '######A######'" in listed[3].message


def test_only_the_latest_forms_are_kept(store: Store) -> None:
    for place in range(203):
        store.write(count_unknown_number, ConnectorId("con_1"), "x" * (place % 30) + "-" * (place // 30))
    assert len(store.read(list_notices, limit=500, cursor=None).items) == 200
