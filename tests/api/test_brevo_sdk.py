"""Brevo's official SDKs, pointed at a real server by their base URL, work unchanged."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from brevo import AsyncBrevo, Brevo
from brevo.core.api_error import ApiError
from brevo.errors import BadRequestError, NotFoundError
from brevo.webhooks.types import (
    CreateWebhookRequestAuth,
    CreateWebhookRequestHeadersItem,
    UpdateWebhookRequestAuth,
    UpdateWebhookRequestHeadersItem,
)

from tests.api.door import ADMIN, NOWHERE, serving
from tests.patience import PATIENCE_SECONDS

WIRE_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
EVENTS: Final = ["callFinished", "meetingBooked", "meetingStarted", "meetingCancelled"]
SDK_1: Final = Path(sys.prefix) / "brevo-sdk-1"


class Wire:
    """The requests that an SDK made."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []
        self.statuses: list[int] = []

    def note(self, answer: httpx.Response) -> None:
        self.requests.append(answer.request)
        self.statuses.append(answer.status_code)

    async def note_later(self, answer: httpx.Response) -> None:
        self.note(answer)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("served")) as url:
        yield url + "/v3"


@pytest.fixture
def url(served: str) -> str:
    """A server that has no webhooks."""
    with httpx.Client(base_url=served, headers={"api-key": ADMIN}) as http:
        for webhook in http.get("/webhooks").json()["webhooks"]:
            assert http.delete(f"/webhooks/{webhook['id']}").status_code == 204
    return served


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def client(url: str, wire: Wire) -> Iterator[Brevo]:
    with httpx.Client(event_hooks={"response": [wire.note]}) as http:
        yield Brevo(api_key=ADMIN, base_url=url, httpx_client=http)


def made(client: Brevo, **changes: Any) -> int:
    return int(client.webhooks.create_webhook(**{"url": NOWHERE, "events": EVENTS, **changes}).id)


def test_a_webhook_is_made_with_all_that_the_sdk_can_say(client: Brevo, wire: Wire) -> None:
    answer = client.webhooks.create_webhook(
        url=NOWHERE,
        description="CRM",
        events=["meetingBooked"],
        type="transactional",
        auth=CreateWebhookRequestAuth(type="bearer", token="t0ken"),
        headers=[CreateWebhookRequestHeadersItem(key="cf-secret", value="v")],
        batched=False,
        domain=None,
    )
    assert isinstance(answer.id, int)
    assert wire.statuses == [201]
    assert json.loads(wire.requests[0].content)["domain"] is None  # the SDK sends what was passed as None


def test_a_webhook_without_events_is_refused_as_a_bad_request(client: Brevo) -> None:
    with pytest.raises(BadRequestError) as refused:
        client.webhooks.create_webhook(url=NOWHERE)
    assert refused.value.body["code"] == "missing_parameter"


@pytest.mark.parametrize("event", ["delivered", "hardBounce", "meeting_booked", "nothing"])
def test_an_event_that_is_not_ours_is_refused_as_a_bad_request(client: Brevo, event: str) -> None:
    with pytest.raises(BadRequestError) as refused:
        client.webhooks.create_webhook(url=NOWHERE, events=["meetingBooked", event])
    assert refused.value.body["code"] == "invalid_parameter"


def test_every_field_comes_back_as_it_was_sent(client: Brevo) -> None:
    id_ = made(
        client,
        description="CRM ☎",
        auth=CreateWebhookRequestAuth(type="bearer", token="t0ken"),
        headers=[CreateWebhookRequestHeadersItem(key="cf-secret", value="v")],
    )
    webhook = client.webhooks.get_webhook(webhook_id=id_)
    assert (webhook.id, webhook.url, webhook.description, webhook.events) == (id_, NOWHERE, "CRM ☎", EVENTS)
    assert (webhook.type, webhook.batched) == ("transactional", False)
    assert (webhook.auth, webhook.headers) == (
        {"type": "bearer", "token": "t0ken"},
        [{"key": "cf-secret", "value": "v"}],
    )
    assert WIRE_INSTANT.fullmatch(str(webhook.created_at))
    assert webhook.created_at == webhook.modified_at


def test_a_webhook_with_batches_comes_back_as_one(client: Brevo) -> None:
    id_ = made(client, batched=True)
    assert client.webhooks.get_webhook(webhook_id=id_).batched is True
    client.webhooks.update_webhook(webhook_id=id_, description="CRM")
    assert client.webhooks.get_webhook(webhook_id=id_).batched is True
    client.webhooks.update_webhook(webhook_id=id_, batched=False)
    assert client.webhooks.get_webhook(webhook_id=id_).batched is False


def test_webhooks_are_listed_by_creation(client: Brevo) -> None:
    assert client.webhooks.get_webhooks().webhooks == []
    ids = [made(client) for _ in range(3)]

    def listed(**how: Any) -> list[Any]:
        return [
            each["id"] if isinstance(each, dict) else each.id for each in client.webhooks.get_webhooks(**how).webhooks
        ]

    assert listed(type="transactional", sort="asc") == ids
    assert listed(type="transactional", sort="desc") == listed() == ids[::-1]


def test_an_update_changes_only_what_it_names(client: Brevo, wire: Wire) -> None:
    id_ = made(client, description="CRM")
    before = client.webhooks.get_webhook(webhook_id=id_)
    assert client.webhooks.update_webhook(webhook_id=id_, url=NOWHERE + "/new") is None
    assert wire.statuses[-1] == 204
    after = client.webhooks.get_webhook(webhook_id=id_)
    assert after.url == NOWHERE + "/new"
    assert (after.description, after.events, after.created_at) == (before.description, EVENTS, before.created_at)
    assert str(after.modified_at) > str(before.modified_at)


def test_an_update_of_nothing_changes_nothing(client: Brevo, wire: Wire) -> None:
    id_ = made(client)
    before = client.webhooks.get_webhook(webhook_id=id_)
    assert client.webhooks.update_webhook(webhook_id=id_) is None
    assert wire.statuses[-1] == 204
    assert client.webhooks.get_webhook(webhook_id=id_) == before


def test_auth_and_headers_can_be_changed(client: Brevo) -> None:
    id_ = made(client)
    client.webhooks.update_webhook(
        webhook_id=id_,
        auth=UpdateWebhookRequestAuth(type="bearer", token="new"),
        headers=[UpdateWebhookRequestHeadersItem(key="a", value="b")],
        events=["callFinished"],
    )
    webhook = client.webhooks.get_webhook(webhook_id=id_)
    assert (webhook.auth, webhook.events) == ({"type": "bearer", "token": "new"}, ["callFinished"])


def test_what_is_deleted_is_not_found(client: Brevo, wire: Wire) -> None:
    id_ = made(client)
    assert client.webhooks.delete_webhook(webhook_id=id_) is None
    assert wire.statuses[-1] == 204
    for call in (client.webhooks.delete_webhook, client.webhooks.get_webhook, client.webhooks.update_webhook):
        with pytest.raises(NotFoundError) as refused:
            call(webhook_id=id_)
        assert refused.value.body["code"] == "document_not_found"


def test_history_is_exported_and_the_process_can_be_followed(client: Brevo, wire: Wire) -> None:
    begun = client.webhooks.export_webhooks_history(event="allEvents", notify_url=NOWHERE, type="transactional", days=7)
    assert isinstance(begun.process_id, int)
    assert wire.statuses == [202]
    process = client.process.get_process(process_id=begun.process_id)
    while process.status != "completed":
        assert process.status in {"queued", "in_process"}
        process = client.process.get_process(process_id=begun.process_id)
    assert (process.id, process.name) == (begun.process_id, "export")
    assert re.search(r"/v3/exports/[0-9a-f]{48}\.csv$", str(process.export_url))
    listed = client.process.get_processes(limit=10, offset=0, sort="desc")
    assert listed.count >= 1
    assert listed.processes[0].id == begun.process_id


def test_history_of_days_and_of_dates_at_once_is_a_bad_request(client: Brevo, wire: Wire) -> None:
    with pytest.raises(BadRequestError):
        client.webhooks.export_webhooks_history(
            event="allEvents", notify_url=NOWHERE, type="transactional", days=7, start_date="2026-01-01"
        )
    with pytest.raises(BadRequestError):
        client.webhooks.export_webhooks_history(event="delivered", notify_url=NOWHERE, type="transactional")
    assert wire.statuses == [400, 400]
    with pytest.raises(NotFoundError):
        client.process.get_process(process_id=10**9)


@pytest.mark.parametrize("key", ["wrong", ""])
def test_a_wrong_or_absent_key_is_unauthorized(url: str, key: str) -> None:
    with httpx.Client() as http, pytest.raises(ApiError) as refused:
        Brevo(api_key=key, base_url=url, httpx_client=http).webhooks.get_webhooks()
    assert refused.value.status_code == 401
    assert refused.value.body["code"] == "unauthorized"
    assert refused.value.body["message"]


def test_a_bearer_token_is_a_key_too(url: str) -> None:
    with httpx.Client() as http:
        client = Brevo(token=ADMIN, base_url=url + "/", httpx_client=http)
        assert client.webhooks.get_webhooks().webhooks == []


def test_the_41st_webhook_costs_one_request_and_works_again_after_a_delete(client: Brevo, wire: Wire) -> None:
    ids = [made(client) for _ in range(40)]
    wire.statuses.clear()
    with pytest.raises(BadRequestError) as refused:
        made(client)
    assert wire.statuses == [400]  # no 409, which the SDK would repeat
    assert refused.value.body["message"]
    client.webhooks.delete_webhook(webhook_id=ids[0])
    assert made(client) == ids[-1] + 1


def test_raw_answers_show_their_headers(client: Brevo) -> None:
    answer = client.webhooks.with_raw_response.get_webhooks()
    assert answer.headers["content-type"] == "application/json"
    assert answer.data.webhooks == []


def test_the_async_client_does_the_same(url: str, wire: Wire) -> None:
    async def use() -> None:
        async with httpx.AsyncClient(event_hooks={"response": [wire.note_later]}) as http:
            webhooks = AsyncBrevo(api_key=ADMIN, base_url=url, httpx_client=http).webhooks
            id_ = (await webhooks.create_webhook(url=NOWHERE, events=EVENTS)).id
            with pytest.raises(BadRequestError):
                await webhooks.create_webhook(url=NOWHERE)
            assert (await webhooks.get_webhook(webhook_id=id_)).events == EVENTS
            assert len((await webhooks.get_webhooks(sort="asc")).webhooks or []) == 1
            await webhooks.update_webhook(webhook_id=id_, url=NOWHERE + "/new")
            assert (await webhooks.get_webhook(webhook_id=id_)).url == NOWHERE + "/new"
            await webhooks.delete_webhook(webhook_id=id_)
            with pytest.raises(NotFoundError):
                await webhooks.get_webhook(webhook_id=id_)

    asyncio.run(use())
    assert wire.statuses == [201, 400, 200, 200, 204, 200, 204, 404]


def test_programs_for_the_old_sdk_go_on_working(url: str) -> None:
    script = Path(__file__).with_name("brevo_sdk_1.py")
    environment = {**os.environ, "PYTHONPATH": str(SDK_1)}
    run = subprocess.run(
        [sys.executable, script, url, ADMIN],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    came = json.loads(run.stdout)
    [first, second] = came["ids"]
    assert (came["read"]["events"][0], came["read"]["type"]) == ("meetingBooked", "transactional")
    assert (came["read"]["url"], came["read"]["description"]) == ("http://127.0.0.1:9/one", "One")
    assert came["listed"] == {"asc": [first, second], "desc": [second, first]}
    assert came["updated"] is None
    assert {**came["after"], "modified_at": ""} == {
        **came["read"],
        "url": "http://127.0.0.1:9/new",
        "modified_at": "",
    }
    assert came["refused"] == [[400, "missing_parameter"], [400, "invalid_parameter"]]
    assert came["deleted"] == [None, [404, "document_not_found"]]
    assert came["missing"] == [404, "document_not_found"]
    assert isinstance(came["exported"], int)
    assert came["process"] == [came["exported"], "export"]
