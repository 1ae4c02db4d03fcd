"""A page's shell blocks, run as a reader would run them: in terminals, one after the other, until what is shown appears.

A block ```` ```sh title="terminal 2" ```` is typed into that terminal; `^C` is Ctrl-C. A block ```` ```text title="terminal 2" ````
is what must then appear there; names of things, instants and durations may be others. A Python block with a title is a file
that is there from the start.
"""

import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from tests.docs import pages

_PATIENCE_SECONDS: Final = 90
#: How long to look before a question is asked again, as one does.
_GLANCE_SECONDS: Final = 1
#: Makes the terminal on its standard input that of a new shell.
_SIT_DOWN: Final = """
import fcntl, os, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp("bash", ["bash", "--noprofile", "--norc"])
"""
#: In the words of a page -> as a pattern of what another run says.
_WILD: Final = (
    (re.compile(r"(evt|mtg|call|dlv)_[0-9a-z]{26}"), r"\1_[0-9a-z]{26}"),
    (re.compile(r"whsec_[0-9A-Za-z+/=]+"), "whsec_[0-9A-Za-z+/=]+"),
    (re.compile(r"20\d\d\\-\d\d\\-\d\dT\d\d:\d\d:\d\d\\.\d{3}Z"), r"20[-\\d]{8}T[:\\d]{8}\\.\\d{3}Z"),
    (re.compile(r'"durationMs":\d+\\.\d+'), r'"durationMs":[\\d.]+'),
    (re.compile(r"\d+\\.\d+(\\ ms| *│)"), r"\\d+\\.\\d+\1"),
)


class Terminal:
    """A shell that somebody sits at."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self._ours, theirs = pty.openpty()
        self._said = ""
        self._seen = 0
        self._news = threading.Condition()
        self._shell = subprocess.Popen(
            [sys.executable, "-c", _SIT_DOWN],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=folder,
            env={**environment, "PS1": "", "PS2": "", "TERM": "dumb"},
            start_new_session=True,
        )
        os.close(theirs)
        self._listener = threading.Thread(target=self._listen)
        self._listener.start()
        self.type("stty -echo; set +m; echo At your $((0))th service")
        self.shows("At your 0th service", again="")

    def type(self, code: str) -> None:
        """Type something, and Enter; or Ctrl-C."""
        os.write(self._ours, b"\x03" if code.strip() == "^C" else code.encode().rstrip(b"\n") + b"\n")

    def shows(self, pattern: str, *, again: str) -> None:
        """Wait until something appears after all that was waited for before; meanwhile type `again` now and then."""
        wanted = re.compile(pattern)
        for _ in range(_PATIENCE_SECONDS // _GLANCE_SECONDS):
            with self._news:
                there = self._news.wait_for(lambda: wanted.search(self._said, self._seen), _GLANCE_SECONDS)
                if there:
                    self._seen = there.end()
                    return
            if again:
                self.type(again)
        raise AssertionError(f"This did not appear: {pattern}\nThis did:\n{self._said[self._seen :]}")

    def close(self) -> None:
        """Switch it off, with all that runs in it."""
        with suppress(ProcessLookupError):
            os.killpg(self._shell.pid, signal.SIGKILL)
        self._shell.wait()
        self._listener.join()
        os.close(self._ours)

    def _listen(self) -> None:
        while True:
            try:
                piece = os.read(self._ours, 65536)
            except OSError:  # nobody holds the other side any more
                return
            with self._news:
                self._said += piece.decode("utf-8", "replace").replace("\r\n", "\n")
                self._news.notify_all()


def follow(text: str, folder: Path) -> None:
    """Do what a page says, with a server and a receiver on free ports, and see what it says that one sees."""
    with _free_port() as server, _free_port() as receiver:
        here = {"127.0.0.1:8000": f"127.0.0.1:{server}", "9000": str(receiver), "make serve": ".venv/bin/hookline serve"}
    blocks = [block for block in pages.blocks(_with(here, text)) if block.title]
    for block in blocks:
        if block.kind == "python":
            (folder / block.title).write_text(block.code, "utf-8")
    (folder / ".venv").symlink_to(sys.prefix)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HOOKLINE_")}
    terminals: dict[str, Terminal] = {}
    typed = ""
    with ExitStack() as stack:
        for block in blocks:
            if block.kind not in ("sh", "text"):
                continue
            if block.title not in terminals:
                terminals[block.title] = Terminal(folder, environment | {"HOOKLINE_LISTEN": f"127.0.0.1:{server}"})
                stack.callback(terminals[block.title].close)
            if block.kind == "sh":
                typed = block.code
                terminals[block.title].type(typed)
            else:
                terminals[block.title].shows(_pattern(block.code), again=typed if _is_question(typed) else "")


def _with(here: dict[str, str], text: str) -> str:
    for told, instead in here.items():
        text = text.replace(told, instead)
    return text


def _pattern(shown: str) -> str:
    pattern = re.escape(shown.strip("\n"))
    for words, wild in _WILD:
        pattern = words.sub(wild, pattern)
    return pattern


def _is_question(code: str) -> bool:
    """Whether asking it twice changes nothing."""
    return code.startswith("curl") and " -d " not in code and "POST" not in code


@contextmanager
def _free_port() -> Iterator[int]:
    """A port that nobody listens on, held until the block ends."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]
