"""docs/how-to/receive-webhooks.md: every program on the page is run, with requests as Hookline sends them."""

import asyncio
import importlib
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import httpx
import pytest

from hookline.domain.events import SAMPLES, EventKind, canonical_bytes
from hookline.domain.signatures import sign

PAGE = Path(__file__).parent.parent.parent / "docs" / "how-to" / "receive-webhooks.md"
PROGRAMS = dict(
    re.findall(r'^```python title="([^"]+)"\n(.*?)^```$', PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NEW_SECRET = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
BODY = canonical_bytes(SAMPLES[EventKind.MEETING_BOOKED])
RUN_HERE = {
    "inbox.py", "worker.py", "app_fastapi.py", "app_flask.py", "hooks/views.py", "hooks/urls.py",
    "app_standardwebhooks.py",
}  # fmt: skip

#: Makes one POST and gives back the status and the text of the answer.
Post = Callable[[bytes, Mapping[str, str]], tuple[int, str]]


def headers_of(body: bytes = BODY, *, message_id: str = "evt_1", sequence: int = 1, **facts: str) -> dict[str, str]:
    now = int(datetime.now(UTC).timestamp())  # noqa: TID251  receivers live in real time
    return {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(now),
        "webhook-signature": sign([SECRET], message_id, now, body),
        "hookline-event": "meetingBooked",
        "hookline-subject": "mtg_1",
        "hookline-sequence": str(sequence),
        "hookline-occurred-at": "2025-06-10T07:09:01.696Z",
        "hookline-attempt": "1",
        **{f"hookline-{name}": value for name, value in facts.items()},
    }


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Imports a program of the page, in a directory that holds them all and becomes the current one."""
    for title, text in PROGRAMS.items():
        (tmp_path / title).parent.mkdir(exist_ok=True)
        (tmp_path / title).write_text(text, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WEBHOOK_SECRETS", f"{SECRET} {NEW_SECRET}")
    names = {title.removesuffix(".py").replace("/", ".") for title in PROGRAMS} | {"hooks"}
    yield importlib.import_module
    for name in names:
        sys.modules.pop(name, None)


def fastapi_post(load: Callable[[str], ModuleType]) -> Post:
    app = load("app_fastapi").app

    async def ask(body: bytes, headers: Mapping[str, str]) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://testserver") as client:
            return await client.post("/hookline", content=body, headers=dict(headers))

    def post(body: bytes, headers: Mapping[str, str]) -> tuple[int, str]:
        answer = asyncio.run(ask(body, headers))
        return answer.status_code, answer.text

    return post


def flask_post(load: Callable[[str], ModuleType], program: str = "app_flask") -> Post:
    client = load(program).app.test_client()

    def post(body: bytes, headers: Mapping[str, str]) -> tuple[int, str]:
        answer = client.post("/hookline", data=body, headers=dict(headers))
        return answer.status_code, answer.text

    return post


def django_post(load: Callable[[str], ModuleType]) -> Post:
    settings = load("django.conf").settings
    if not settings.configured:  # once in a process: Django has one configuration
        settings.configure(
            ROOT_URLCONF="hooks.urls",
            ALLOWED_HOSTS=["testserver"],
            MIDDLEWARE=["django.middleware.common.CommonMiddleware", "django.middleware.csrf.CsrfViewMiddleware"],
        )
        load("django").setup()
    load("django.urls").clear_url_caches()
    client = load("django.test").Client(enforce_csrf_checks=True)

    def post(body: bytes, headers: Mapping[str, str]) -> tuple[int, str]:
        answer = client.post("/hookline", data=body, content_type="application/json", headers=dict(headers))
        return answer.status_code, answer.content.decode()

    return post


@pytest.fixture(params=[fastapi_post, flask_post, django_post], ids=["FastAPI", "Flask", "Django"])
def post(request: pytest.FixtureRequest, load: Callable[[str], ModuleType]) -> Post:
    """The programs of the page that use our library."""
    made: Post = request.param(load)
    return made


@pytest.fixture
def acted(load: Callable[[str], ModuleType]) -> Callable[[], list[tuple[str, str]]]:
    """Runs the page's worker once; gives back the events and subjects that it acted upon."""

    def run() -> list[tuple[str, str]]:
        done: list[tuple[str, str]] = []
        load("inbox").work(lambda event, subject, body: done.append((event, subject)) if body else None)
        return done

    return run


Acted = Callable[[], list[tuple[str, str]]]


def test_every_program_on_the_page_is_run_here() -> None:
    assert PROGRAMS.keys() == RUN_HERE
    assert PAGE.read_text("utf-8").count("```python") == len(PROGRAMS)


def test_a_signed_request_is_taken_and_acted_upon_once(post: Post, acted: Acted) -> None:
    assert post(BODY, headers_of()) == (204, "")
    assert acted() == [("meetingBooked", "mtg_1")]
    assert acted() == []


def test_a_tampered_request_is_refused_with_the_reason(post: Post, acted: Acted) -> None:
    status, text = post(BODY.replace(b"123", b"124", 1), headers_of())
    assert status == 400
    assert "no signature fits" in text
    assert acted() == []


def test_a_request_without_a_signature_is_refused(post: Post, acted: Acted) -> None:
    status, text = post(BODY, {"Content-Type": "application/json"})
    assert status == 400
    assert "is needed" in text
    assert acted() == []


def test_a_duplicate_is_answered_alike_and_acted_upon_once(post: Post, acted: Acted) -> None:
    assert post(BODY, headers_of()) == post(BODY, headers_of(attempt="2")) == (204, "")
    assert acted() == [("meetingBooked", "mtg_1")]
    assert post(BODY, headers_of(attempt="3")) == (204, "")
    assert acted() == []


def test_what_comes_late_is_passed_over(post: Post, acted: Acted) -> None:
    post(BODY, headers_of(message_id="evt_2", sequence=2, event="meetingCancelled"))
    assert acted() == [("meetingCancelled", "mtg_1")]
    assert post(BODY, headers_of(message_id="evt_1", sequence=1)) == (204, "")
    assert acted() == []


def test_what_waits_together_is_taken_in_order(post: Post, acted: Acted) -> None:
    post(BODY, headers_of(message_id="evt_2", sequence=2, event="meetingCancelled"))
    post(BODY, headers_of(message_id="evt_1", sequence=1))
    assert acted() == [("meetingBooked", "mtg_1"), ("meetingCancelled", "mtg_1")]


def test_a_test_send_is_answered_and_not_acted_upon(post: Post, acted: Acted) -> None:
    assert post(BODY, headers_of(test="true")) == (204, "")
    assert acted() == []


@pytest.mark.parametrize("secrets", [(NEW_SECRET,), (NEW_SECRET, SECRET), (SECRET,)])
def test_a_rotated_secret_is_taken_beside_the_old_one(post: Post, secrets: tuple[str, ...]) -> None:
    headers = headers_of()
    headers["webhook-signature"] = sign(secrets, "evt_1", int(headers["webhook-timestamp"]), BODY)
    assert post(BODY, headers) == (204, "")


def test_each_batch_is_acted_upon(post: Post, acted: Acted) -> None:
    body = b"[" + BODY + b"," + BODY + b"]"
    for name in ("bat_1", "bat_2"):
        headers = headers_of(body, message_id=name) | {"hookline-batch-size": "2"}
        for absent in ("hookline-subject", "hookline-sequence", "hookline-occurred-at"):
            del headers[absent]
        assert post(body, headers) == (204, "")
    assert acted() == [("meetingBooked", ""), ("meetingBooked", "")]


def test_work_that_fails_is_logged_and_done_again(
    load: Callable[[str], ModuleType], post: Post, acted: Acted, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: str) -> None:
        raise ConnectionError("the calendar is away")

    post(BODY, headers_of())
    load("inbox").work(fail)
    assert "meetingBooked of mtg_1 failed" in caplog.text
    assert acted() == [("meetingBooked", "mtg_1")]


def test_work_that_fails_does_not_hold_up_other_subjects(load: Callable[[str], ModuleType], post: Post) -> None:
    done: list[str] = []

    def act(_: str, subject: str, __: str) -> None:
        if subject == "mtg_1":
            raise ConnectionError("the calendar is away")
        done.append(subject)

    post(BODY, headers_of())
    post(BODY, headers_of(message_id="evt_2", subject="mtg_2"))
    load("inbox").work(act)
    assert done == ["mtg_2"]


def test_the_worker_is_harmless_to_import(load: Callable[[str], ModuleType]) -> None:
    assert load("worker").work is load("inbox").work


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, 204),
        ({"webhook-signature": "v1,AAAA"}, 400),
        ({"webhook-signature": "v1"}, 400),
        ({"webhook-id": "evt_2"}, 400),
        ({"webhook-timestamp": "1614265330"}, 400),
    ],
)
def test_without_our_library_the_same_holds(
    load: Callable[[str], ModuleType], changes: dict[str, str], status: int
) -> None:
    post = flask_post(load, "app_standardwebhooks")
    assert post(BODY, headers_of() | changes)[0] == status
    assert post(BODY + b" ", headers_of())[0] == 400


def test_without_our_library_a_duplicate_is_kept_once(load: Callable[[str], ModuleType]) -> None:
    post = flask_post(load, "app_standardwebhooks")
    assert post(BODY, headers_of())[0] == post(BODY, headers_of(attempt="2"))[0] == 204
    program = load("app_standardwebhooks")
    with program.closing(program.sqlite3.connect("messages.db")) as connection:
        assert connection.execute("SELECT id, event FROM messages").fetchall() == [("evt_1", "meetingBooked")]


def test_the_numbers_to_check_one_s_own_code_with_are_right() -> None:
    text = PAGE.read_text("utf-8")
    signature = sign([SECRET], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    for part in (SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", '{"test": 2432232314}', signature):
        assert f"`{part}`" in text
