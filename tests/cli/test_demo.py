"""`hookline demo`: a newcomer's first minute. Everything arrives, everything is shown, and nothing is left behind."""

import asyncio
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hookline.bootstrap import parts
from hookline.cli.asking import ask
from hookline.cli.demo import NEXT_STEPS, Story, called_as, conclude
from hookline.cli.failed import Failed
from hookline.cli.screen import Expected, Screen, filled
from hookline.cli.subscriber import Subscriber, listening
from tests.acceptance.serving import API_KEY, Server
from tests.cli.commands import NOBODY, Hookline, is_alive, is_listening

ARRIVALS = [
    "meetingBooked",
    "meetingStarted",
    "meetingBooked, the other",
    "meetingCancelled",
    "callFinished, answered",
    "callFinished, missed",
]
WIDTH = 80


@pytest.mark.slow
def test_every_kind_of_event_arrives_and_is_verified_and_nothing_is_left(hookline: Hookline, tmp_path: Path) -> None:
    said = hookline("demo", TMPDIR=str(tmp_path))
    assert (said.code, said.err) == (0, "")
    for label in ARRIVALS:
        assert re.search(rf"(?m)^{label} +verified +\d+ ms$", said.out), (label, said.out)
    assert hookline.files() == set()
    assert not any(is_listening(url) for url in re.findall(r"http://127\.0\.0\.1:\d+", said.out) if ":8000" not in url)


@pytest.mark.slow
def test_it_shows_what_is_sent_and_what_arrives_in_80_columns_and_without_colours(hookline: Hookline) -> None:
    out = hookline("demo").out
    assert "\x1b" not in out
    # The path of the program is as long as it is.
    assert [line for line in out.replace(called_as("__main__.py"), "hookline").splitlines() if len(line) > WIDTH] == []
    assert out.count("signature verified") == len(ARRIVALS)
    assert "after the scheduled start" in out
    assert '"type":"missed"' in out
    assert "starts in" in out


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_whoever_stops_it_leaves_no_server_and_no_folder(hookline: Hookline, number: signal.Signals) -> None:
    with hookline.started("demo", TMPDIR=str(hookline.folder)) as demo:
        out = demo.says("Cancel it")
        [server] = demo.children
        assert hookline.files() != set()
        demo.tell(number)
        ended = demo.end()
    assert ended.code == 1
    assert ended.err.startswith("Stopped.")
    assert not is_alive(server)
    assert hookline.files() == set()
    assert not any(map(is_listening, re.findall(r"http://127\.0\.0\.1:\d+", out)))


@pytest.mark.slow
def test_a_server_that_dies_ends_it_with_a_sentence(hookline: Hookline) -> None:
    with hookline.started("demo", TMPDIR=str(hookline.folder)) as demo:
        demo.says("Cancel it")
        [server] = demo.children
        os.kill(server, signal.SIGKILL)
        ended = demo.end()
    assert ended.code == 1
    assert ended.err == "The server of the demo died; if it said why, that stands above.\n"
    assert hookline.files() == set()


class Deaf(Subscriber):
    """Takes nothing, and says so."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 500, "headers": []})
        await send({"type": "http.response.body", "body": b""})


class Distrustful(Subscriber):
    """Trusts another secret than that of its webhook."""

    def trust(self, secret: str) -> None:
        super().trust("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")


def play(folder: Path, subscriber: type[Subscriber], patience: timedelta) -> Sequence[Expected]:
    """What comes of the story with this subscriber."""

    async def scenario() -> Sequence[Expected]:
        story = Story(Screen(), parts.system_clock(), API_KEY, patience=patience, subscriber=subscriber)
        async with listening(story.subscriber) as subscriber_url, Server.running(folder) as server:
            return await story.play(f"http://127.0.0.1:{server.port}", subscriber_url)

    return asyncio.run(scenario())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("subscriber", "patience", "outcome"),
    [(Deaf, timedelta(), "did not arrive"), (Distrustful, timedelta(seconds=30), "signature")],
)
def test_what_does_not_arrive_as_it_must_is_shown_and_is_a_failure(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    subscriber: type[Subscriber],
    patience: timedelta,
    outcome: str,
) -> None:
    expected = play(tmp_path, subscriber, patience)
    with pytest.raises(Failed) as failed:
        conclude(Screen(), expected)
    summary = capsys.readouterr().out
    for label in ARRIVALS:
        assert re.search(rf"{label} \([^)]*{outcome}", str(failed.value)), failed.value
        assert re.search(rf"(?m)^{label} .*{outcome}", summary), summary


@pytest.mark.slow
def test_a_server_that_cannot_start_ends_it_with_a_sentence(hookline: Hookline) -> None:
    no_file_may_grow = 'ulimit -f 1; exec "$0" -m hookline demo'
    ended = subprocess.run(
        ["sh", "-c", no_file_may_grow, sys.executable],
        env={**hookline.environment, "TMPDIR": str(hookline.folder)},
        cwd=hookline.folder,
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 1
    *server, demo = ended.stderr.decode().splitlines()
    assert demo == "The server of the demo did not start; what it said stands above."
    assert any("hookline" in line or "demo.db" in line for line in server), server
    assert "Traceback" not in ended.stderr.decode()
    assert hookline.files() == set()


@pytest.mark.slow
def test_what_to_try_next_are_commands_that_work(tmp_path: Path) -> None:
    steps = NEXT_STEPS.format(hookline="hookline", key=API_KEY).replace("\\\n", "")
    export, allow, serve, curl, trigger = (shlex.split(line) for line in steps.splitlines() if line.startswith("   "))
    assert export == ["export", f"HOOKLINE_API_KEY={API_KEY}"]
    assert allow == ["export", "HOOKLINE_ALLOW_NETWORKS=127.0.0.0/8"]
    assert serve == ["hookline", "serve"]

    async def scenario() -> None:
        async with Server.running(tmp_path) as server:
            url = f"http://127.0.0.1:{server.port}"
            assert curl[:2] == ["curl", "http://127.0.0.1:8000/v3/webhooks"]
            wanted = json.loads(curl[curl.index("-d") + 1])
            assert wanted["url"] == "http://127.0.0.1:9000/hook"
            wanted["url"] = f"http://{NOBODY}/hook"  # as near, and surely nobody
            assert ask(url, API_KEY, "POST", "/v3/webhooks", wanted).fine()["id"] == 1
            told = Hookline.beside(server)(*trigger[1:])
            assert told.out.startswith(f"FAILED  webhook 1  http://{NOBODY}/hook"), told

    asyncio.run(scenario())


def test_a_body_is_shown_in_lines_that_are_the_very_body_again() -> None:
    body = '{"a":"one, two, three","b":[{"c":"\\"quoted, too\\"","d":1}],"e":"' + "x" * 50 + '"}'
    lines = filled(body, 20)
    assert "".join(lines) == body
    assert max(map(len, lines)) <= 20
    assert filled('{"a":1,"b":2}', 8) == ['{"a":1,', '"b":2}']


@pytest.mark.parametrize("body", ["", "no JSON, at all", '{"half', '"', '{"a":"b"}"'])
def test_a_body_that_is_no_json_is_shown_as_it_is(body: str) -> None:
    assert "".join(filled(body, 8)) == body


@pytest.mark.parametrize("program", ["/a folder/with ümlauts/.venv/bin/hookline", "/it's/hookline", "./$HOME/hookline"])
def test_a_shell_understands_how_to_call_it_again(program: str) -> None:
    assert shlex.split(called_as(program)) == [program]
    printed = subprocess.run(["sh", "-c", f"printf %s {called_as(program)}"], capture_output=True, check=True)
    assert printed.stdout.decode() == program


def test_it_says_how_to_call_it_again() -> None:
    assert called_as("/somewhere/.venv/bin/hookline") == "/somewhere/.venv/bin/hookline"
    assert shlex.split(called_as("/lib/hookline/__main__.py")) == [sys.executable, "-m", "hookline"]
