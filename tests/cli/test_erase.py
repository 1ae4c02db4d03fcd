"""`hookline erase`: a person is taken out by the server, after a question."""

import asyncio
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest

from tests.acceptance.serving import Api, Server
from tests.api.door import CALL, MEETING
from tests.cli.commands import Hookline, Said
from tests.patience import PATIENCE_SECONDS

pytestmark = pytest.mark.slow
T = TypeVar("T")


def beside_a_server(folder: Path, act: Callable[[Hookline], T]) -> T:
    """What came of calling the command beside a server that knows a meeting with Bo, and a call."""

    async def scenario() -> T:
        async with Server.running(folder) as server, Api.to(server) as api:
            await api.post("/v3/meetings", MEETING)
            await api.post("/v3/calls", CALL)
            return await asyncio.to_thread(act, Hookline.beside(server))

    return asyncio.run(scenario())


def at_a_terminal(hookline: Hookline, answer: str, *words: str) -> Said:
    """Call it with a person in front of it, who answers the question."""
    person, terminal = pty.openpty()
    try:
        os.write(person, f"{answer}\n".encode())
        ended = subprocess.run(
            [sys.executable, "-m", "hookline", *words],
            cwd=hookline.folder,
            env=hookline.environment,
            stdin=terminal,
            capture_output=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
    finally:
        os.close(person)
        os.close(terminal)
    return Said(ended.returncode, ended.stdout.decode(), ended.stderr.decode())


def test_a_participant_and_a_contact_are_erased(tmp_path: Path) -> None:
    def act(hookline: Hookline) -> None:
        said = hookline("erase", "BO@example.com", "--yes")
        assert (said.code, said.err) == (0, "")
        assert said.out == (
            "BO@example.com is erased: from 1 meeting, 1 event. Deliveries withdrawn: 0."
            " Answers of receivers emptied: 0.\n"
        )
        again = hookline("erase", "bo@example.com", "--yes")
        nobody = "No meeting has a participant bo@example.com. Where it is the address of a host, it stays.\n"
        assert (again.code, again.out) == (0, nobody)
        line = hookline("erase", CALL["phone_line"], "--yes")
        assert line.out.endswith(" Where it is the number of a line, it stays.\n")
        call = hookline("erase", "+1 400 200 7868", "--yes", "--json")
        assert (call.code, call.err) == (0, "")
        assert call.value == {"meetings": 0, "calls": 1, "events": 1, "withdrawn": 0, "answers": 0}

    beside_a_server(tmp_path, act)


def test_at_a_terminal_it_asks_first(tmp_path: Path) -> None:
    def act(hookline: Hookline) -> None:
        for no in ("n", ""):
            refused = at_a_terminal(hookline, no, "erase", "bo@example.com")
            assert "Erase bo@example.com from everything that is kept?" in refused.err
            assert "Nothing was erased." in refused.refusal()
        agreed = at_a_terminal(hookline, "y", "erase", "bo@example.com", "--json")
        assert agreed.code == 0
        assert agreed.value["meetings"] == 1

    beside_a_server(tmp_path, act)


def test_without_a_terminal_it_has_to_be_told_that_it_may(hookline: Hookline) -> None:
    said = hookline("erase", "bo@example.com", HOOKLINE_API_KEY="some-key-or-other")
    assert "--yes" in said.refusal(2)


@pytest.mark.parametrize("who", ["bo", "bo@", "@example.com", ""])
def test_who_is_neither_an_address_nor_a_number_is_called_wrongly(hookline: Hookline, who: str) -> None:
    assert "WHO" in hookline("erase", who, "--yes").refusal(2)


def test_without_a_key_and_without_a_server_nothing_is_done(hookline: Hookline) -> None:
    assert "HOOKLINE_API_KEY" in hookline("erase", "bo@example.com", "--yes").refusal()
    said = hookline("erase", "bo@example.com", "--yes", "--api-key", "some-key-or-other")
    assert "hookline serve" in said.refusal()
