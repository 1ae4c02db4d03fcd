"""`hookline`, called as in a shell: in a folder, with settings of its own, and nothing from outside."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from tests.acceptance.serving import API_KEY, Server
from tests.patience import PATIENCE_SECONDS

#: Nobody listens there, and nobody who is not root could.
NOBODY: Final = "127.0.0.1:1"


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def value(self) -> Any:
        """What it printed, as JSON: nothing else may stand beside it."""
        return msgspec.json.decode(self.out)

    def refusal(self, code: int = 1) -> str:
        """The sentences of a command that had to fail: with this code, without a stack trace, on stderr alone."""
        assert self.code == code, self
        assert "Traceback" not in self.err, self.err
        assert self.out == "", self
        assert self.err.strip(), self
        return self.err


class Hookline:
    """The command line, in one folder."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.database = folder / "hookline.db"
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("HOOKLINE_")},
            "HOOKLINE_DATABASE": f"sqlite:///{self.database}",
            "HOOKLINE_LISTEN": NOBODY,
            "COLUMNS": "80",
            **settings,
        }

    @classmethod
    def beside(cls, server: Server) -> "Hookline":
        """On the database of a server, whose address and admin key it knows."""
        return cls(
            server.database.parent,
            HOOKLINE_LISTEN=f"127.0.0.1:{server.port}",
            HOOKLINE_API_KEY=API_KEY,
            HOOKLINE_ALLOW_NETWORKS="127.0.0.0/8",
        )

    @property
    def server_url(self) -> str:
        """Where it looks for a server."""
        return f"http://{self.environment['HOOKLINE_LISTEN']}"

    def __call__(self, *words: str, **settings: str) -> Said:
        """Call it, and wait until it has ended."""
        ended = subprocess.run(
            [sys.executable, "-m", "hookline", *words],
            cwd=self.folder,
            env={**self.environment, **settings},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        return Said(ended.returncode, ended.stdout.decode(), ended.stderr.decode())

    @contextlib.contextmanager
    def started(self, *words: str, **settings: str) -> Iterator["Running"]:
        """Call it, and do something meanwhile. It is gone when the block ends."""
        process = subprocess.Popen(
            [sys.executable, "-m", "hookline", *words],
            cwd=self.folder,
            env={**self.environment, "PYTHONUNBUFFERED": "1", **settings},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        running = Running(process)
        try:
            yield running
        finally:
            process.kill()
            process.communicate()

    def files(self) -> set[str]:
        """The names of what lies in the folder."""
        return {file.name for file in self.folder.iterdir()}


class Running:
    """A command that has not ended yet."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._out = bytearray()
        self._err = bytearray()

    def says(self, words: str) -> str:
        """Wait until it has printed a line with these words. Returns all that it printed up to there."""
        return _until(words, self._process.stdout, self._out)

    def complains(self, words: str) -> str:
        """Wait until standard error has a line with these words. Returns all that it held up to there."""
        return _until(words, self._process.stderr, self._err)

    def tell(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self._process.send_signal(number)

    def require_running(self) -> None:
        """Fail, with what it said, if it has ended."""
        if self._process.poll() is not None:
            raise AssertionError(self.end())

    @property
    def children(self) -> list[int]:
        """The processes that it started."""
        return [int(each) for each in _of_process(self._process.pid, "children").split()]

    def end(self) -> Said:
        """Wait until it has ended by itself."""
        out, err = self._process.communicate(timeout=PATIENCE_SECONDS)
        return Said(self._process.returncode, (self._out + out).decode(), (self._err + err).decode())


def _until(words: str, stream: IO[bytes] | None, seen: bytearray) -> str:
    assert stream is not None
    while True:
        before, found, after = seen.partition(words.encode())
        if found and b"\n" in after:
            return (before + found + after.partition(b"\n")[0]).decode()
        ready, _, _ = select.select([stream], [], [], PATIENCE_SECONDS)
        piece = os.read(stream.fileno(), 65536) if ready else b""
        assert piece, f"It did not say {words!r}, but: {seen.decode()}"
        seen += piece


def is_listening(url: str) -> bool:
    """Whether anybody listens there."""
    host, _, port = url.removeprefix("http://").partition("/")[0].rpartition(":")
    with socket.socket() as trial:
        return trial.connect_ex((host, int(port))) == 0


def is_alive(pid: int) -> bool:
    """Whether there is such a process, that has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(") ")[2][0] != "Z"
    except OSError:
        return False


def _of_process(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/task/{pid}/{name}").read_text("utf-8")
