"""A webhook that fails for days, with the whole engine: what is sent, what is logged, and what is not disturbed."""

import asyncio
from datetime import timedelta

import pytest

from hookline.bootstrap.engine import Engine
from hookline.domain.backoff import own_policy
from hookline.domain.deliveries import State
from hookline.ports.storage import News
from hookline.services.webhooks import read_webhook
from tests.engine.house import Street, always
from tests.fakes import MONDAY, Reply

ONCE = own_policy((), retry_4xx=True)
DAILY = own_policy((86_400,) * 10, retry_4xx=True)


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The lines of the log that tell of notices."""
    return [record.getMessage() for record in caplog.records if record.name == "hookline.notices"]


class Eavesdropper:
    """A listener that notes all that another one is told."""

    def __init__(self, engine: Engine, news: list[News]) -> None:
        self.room = engine.room
        self.has_room_for = engine.has_room_for
        self._engine = engine
        self._news = news

    def committed(self, news: News) -> None:
        self._news.append(news)
        self._engine.committed(news)


def test_it_is_warned_of_after_one_day_and_disabled_after_five(
    street: Street, caplog: pytest.LogCaptureFixture
) -> None:
    asyncio.run(fail_for_a_week(street, caplog))


async def fail_for_a_week(street: Street, caplog: pytest.LogCaptureFixture) -> None:
    street.replying = always(503)
    async with street.house() as house:
        webhook = await house.new_webhook(retry_policy=DAILY)
        await house.calls()
        for day in range(1, 5):
            await house.go_to(MONDAY + timedelta(days=day))
        assert [line.split(" notice=")[0] for line in told(caplog)] == [f"notice.webhook_failing webhook={webhook.id}"]
        await house.go_to(MONDAY + timedelta(days=5))
        assert len(house.posts) == 6
        assert not (await house.database.read(read_webhook, webhook.id)).is_active
        assert await house.states() == [State.WITHDRAWN]
        assert f"notice.webhook_disabled webhook={webhook.id}" in told(caplog)[-1]
        assert "for 5 days, the last one with status 503." in told(caplog)[-1]
        await house.pass_by(days=2)
        assert len(house.posts) == 6


def test_to_begin_to_fail_gives_back_no_claims(street: Street) -> None:
    asyncio.run(fail_among_others(street))


async def fail_among_others(street: Street) -> None:
    news: list[News] = []
    async with street.house() as house:
        await house.new_webhook(retry_policy=ONCE)
        house.database.listen(Eavesdropper(house.engine, news))
        statuses = iter([503, 200, 200])
        street.replying = lambda _: Reply(status=next(statuses))
        await house.calls(3)
        assert await house.states() == [State.DEAD, State.DELIVERED, State.DELIVERED]
        assert news
        assert not any(each.webhooks for each in news)
