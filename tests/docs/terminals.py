"""A page's shell blocks, done as a reader would: in terminals, one after the other, until what is shown appears.

A block of kind `sh` with the title "terminal 2" is typed into that terminal; `^C` is Ctrl-C. A block of kind `text`
with that title is what must then appear there; names of things, instants and durations may be others. Any other block
with a title is a file, written when it is read.
"""

import os
import pty
import re
import shutil
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
from tests.patience import PATIENCE_SECONDS

#: How long to look before a question is asked again, as one does.
_GLANCE_SECONDS: Final = 1
#: Makes the terminal on its standard input that of a new shell.
_SIT_DOWN: Final = """
import fcntl, os, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp("bash", ["bash", "--noprofile", "--norc"])
"""
#: Names of things, others in each run. Once one was shown, the one of this run takes its place in what is typed.
_NAME: Final = re.compile(r"(?:evt|mtg|call|dlv)_[0-9a-z]{26}|whsec_[0-9A-Za-z+/=]+")
#: In the words of a page, escaped -> as a pattern of what another run says.
_WILD: Final = (
    (re.compile(r"(evt|mtg|call|dlv)_[0-9a-z]{26}"), r"\1_[0-9a-z]{26}"),
    (re.compile(r"whsec_[0-9A-Za-z+/=]+"), "whsec_[0-9A-Za-z+/=]+"),
    (re.compile(r"20\d\d\\-\d\d\\-\d\dT\d\d:\d\d:\d\d\\.\d{3}Z"), r"20[-\\d]{8}T[:\\d]{8}\\.\\d{3}Z"),
    (re.compile(r'"durationMs":(\\ )?\d+\\.\d+'), r'"durationMs": ?[\\d.]+'),
    (re.compile(r"\d\d/Jan/20\d\d\\ [\d:]{8}"), r"\\d\\d/\\w+/20\\d\\d [:\\d]{8}"),
    (re.compile(r"(\\ )+\d+\\ ms"), r" +\\d+\\ ms"),
)


#: Stands in for curl where that is not installed, as far as the pages use it.
_CURL: Final = """
import http.client, sys, urllib.parse
arguments, headers, method, body, url, shows_head = sys.argv[1:], {}, None, None, "", False
while arguments:
    match arguments.pop(0):
        case "-s": pass
        case "-i": shows_head = True
        case "-X": method = arguments.pop(0)
        case "-d": body = arguments.pop(0).encode()
        case "-H": headers.update([arguments.pop(0).split(": ", 1)])
        case url: pass
place = urllib.parse.urlsplit(url)
connection = http.client.HTTPConnection(place.netloc)
connection.request(method or ("GET" if body is None else "POST"), url.split(place.netloc)[1], body, headers)
answer = connection.getresponse()
if shows_head:
    print(f"HTTP/1.1 {answer.status} {answer.reason}\\n{answer.headers}", flush=True)
sys.stdout.buffer.write(answer.read())
"""


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
        """Type something, and Enter; or Ctrl-C, and wait until what ran there is gone."""
        if code.strip() == "^C":
            stop = "\x03echo Gone, says $((0))"
            self.type(stop)
            self.shows(
                "Gone, says 0", again=stop
            )  # wsgiref, while it answers, takes Ctrl-C for an error of the program
        else:
            os.write(self._ours, code.encode().rstrip(b"\n") + b"\n")

    def shows(self, pattern: str, *, again: str) -> str:
        """Wait until something appears after all that was waited for before; meanwhile type `again` now and then."""
        wanted = re.compile(pattern)
        for _ in range(PATIENCE_SECONDS // _GLANCE_SECONDS):
            with self._news:
                # a short bound: it looks again
                there = self._news.wait_for(lambda: wanted.search(self._said, self._seen), _GLANCE_SECONDS)
                if there:
                    self._seen = there.end()
                    return there[0]
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
            except OSError:  # nobody holds the other side any more; elsewhere that reads as nothing
                piece = b""
            if not piece:
                return
            with self._news:
                self._said += piece.decode("utf-8", "replace").replace("\r\n", "\n")
                self._news.notify_all()


def follow(text: str, folder: Path) -> None:
    """Do what a page says, with a server and a receiver on free ports, and see what it says that one sees."""
    with _free_port() as server, _free_port() as receiver:
        here = {
            "127.0.0.1:8000": f"127.0.0.1:{server}",
            "9000": str(receiver),
            "make serve": ".venv/bin/hookline serve",
        }
    blocks = [block for block in pages.blocks(_with(here, text)) if block.title]
    environment = _prepared(folder) | {"HOOKLINE_LISTEN": f"127.0.0.1:{server}"}
    terminals: dict[str, Terminal] = {}
    names: dict[str, str] = {}
    typed = ""
    with ExitStack() as stack:
        for block in blocks:
            if block.kind not in ("sh", "text"):
                (folder / block.title).write_text(block.code, "utf-8")
            elif block.title not in terminals:
                terminals[block.title] = Terminal(folder, environment)
                stack.callback(terminals[block.title].close)
            if block.kind == "sh":
                typed = _with(names, block.code)
                terminals[block.title].type(typed)
            elif block.kind == "text":
                seen = terminals[block.title].shows(as_pattern(block.code), again=typed if _is_question(typed) else "")
                names |= dict(zip(_NAME.findall(block.code), _NAME.findall(seen), strict=True))


def _prepared(folder: Path) -> dict[str, str]:
    """Make the folder look like a checkout that was set up. Returns the environment of its terminals."""
    (folder / ".venv").symlink_to(sys.prefix)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HOOKLINE")}
    if shutil.which("curl") is None:
        (folder / "curl.py").write_text(_CURL, "utf-8")
        (folder / "curl").write_text(_script(f'"{sys.executable}" "{folder}/curl.py" "$@"'), "utf-8")
        (folder / "curl").chmod(0o755)
        environment["PATH"] = f"{folder}:{environment['PATH']}"
    return environment


def _script(command: str) -> str:
    """A shell script that is this command. Its first line names no path of ours: that could not hold a space."""
    return f"#!/bin/sh\nexec {command}\n"


def _with(here: dict[str, str], text: str) -> str:
    for told, instead in here.items():
        text = text.replace(told, instead)
    return text


def as_pattern(shown: str) -> str:
    """What a page shows, as a pattern of what one sees in another run."""
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
