"""Processes that take part in a measurement: started in sessions of their own, watched, ended with their children."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

_STOP_SECONDS: Final = 15.0
_RUN_SECONDS: Final = 300.0
_TICKS_PER_SECOND: Final = os.sysconf("SC_CLK_TCK")


class MeasurementFailed(Exception):
    """A part of a measurement did not do what it is there for; the message says which and how."""


@contextlib.contextmanager
def running(arguments: Sequence[str], env: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A process, for as long as the block lasts. What it said is shown when the block fails."""
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            arguments,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            start_new_session=True,
        )
        try:
            yield process
        except Exception as failure:
            said.seek(0)
            failure.add_note(f"{' '.join(arguments)} said: {said.read()[-2000:]}")
            raise
        finally:
            _end(process)


def python(*arguments: str) -> list[str]:
    """The command line of a Python process of this same environment."""
    return [sys.executable, *arguments]


def run_to_end(
    arguments: Sequence[str], env: Mapping[str, str] | None = None, *, limit_seconds: float = _RUN_SECONDS
) -> str:
    """What a program printed, once it has ended well."""
    ended = subprocess.run(
        arguments, env={**os.environ, **(env or {})}, capture_output=True, text=True, timeout=limit_seconds, check=False
    )
    if ended.returncode:
        raise MeasurementFailed(f"{' '.join(arguments)} ended with {ended.returncode}: {ended.stderr[-2000:]}")
    return ended.stdout


def wait_until(is_so: Callable[[], bool], what: str, limit_seconds: float = 120, pause_seconds: float = 0.01) -> None:
    """Ask again and again.

    Raises:
        MeasurementFailed: it never became so.
    """
    give_up_at = time.monotonic() + limit_seconds
    while not is_so():
        if time.monotonic() > give_up_at:
            raise MeasurementFailed(f"Waited {limit_seconds:.0f} s in vain for {what}.")
        time.sleep(pause_seconds)


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def answers(port: int) -> bool:
    """Whether somebody accepts connections there."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def cpu_seconds(session: int) -> float:
    """Processor time that all processes of one session have used so far."""
    return sum(sum(map(int, fields[11:13])) for _, fields in _processes_of(session)) / _TICKS_PER_SECOND


def resident_mb(session: int) -> float:
    """Memory that all processes of one session hold just now, in MB of 1,000,000 bytes."""
    pages = sum(int(fields[21]) for _, fields in _processes_of(session))
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def peak_mb(session: int) -> float:
    """The most memory that the processes of one session ever held, in MB of 1,000,000 bytes."""
    kib = 0
    for process, _ in _processes_of(session):
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        kib += sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    return kib * 1024 / 1e6


class Receiver:
    """The receiver process, seen from the one who measures."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    @classmethod
    @contextlib.contextmanager
    def started(cls, key_header: str = "", *, hangs: bool = False) -> Iterator["Receiver"]:
        """A receiver for as long as the block lasts."""
        port = free_port()
        how = ["--key-header", key_header, *(["--hang"] if hangs else [])]
        with running(python("-m", "bench.receiver", "--port", str(port), *how)):
            wait_until(lambda: answers(port), "the receiver", limit_seconds=20)
            yield cls(port)

    def count(self) -> int:
        """How many POSTs have arrived."""
        return int(self._ask("GET", "/count"))

    def arrivals_ns(self) -> Sequence[int]:
        """When each arrived, in their order."""
        arrivals = array("q")
        arrivals.frombytes(self._ask("GET", "/arrivals"))
        return arrivals

    def keys(self) -> list[str]:
        """The key header of each, in the same order."""
        keys: list[str] = json.loads(self._ask("GET", "/keys"))
        return keys

    def forget(self) -> None:
        """Begin to count again."""
        self._ask("DELETE", "/arrivals")

    def wait_for(self, count: int, limit_seconds: float = 180) -> None:
        """Return when so many have arrived."""
        wait_until(lambda: self.count() >= count, f"{count:,} arrivals", limit_seconds, pause_seconds=0.05)

    def _ask(self, method: str, path: str) -> bytes:
        request = urllib.request.Request(self.url + path, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:
            body: bytes = answer.read()
            return body


def redis_is_installed() -> bool:
    """Whether the comparison with the queues on Redis can be measured."""
    return shutil.which("redis-server") is not None


@contextlib.contextmanager
def redis() -> Iterator[str]:
    """A Redis of our own that keeps what it is given, as its manual advises (appendfsync everysec); yields its URL."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        keep = ["--dir", folder, "--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]
        with running(["redis-server", "--bind", "127.0.0.1", "--port", str(port), *keep, "--logfile", "redis.log"]):
            wait_until(lambda: answers(port), "Redis", limit_seconds=20)
            yield f"redis://127.0.0.1:{port}/0"


def _processes_of(session: int) -> Iterator[tuple[int, list[str]]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == session:
                    yield int(entry.name), fields


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ask the process to end, then end whatever is left of its session."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=_STOP_SECONDS)
    for pid, _ in list(_processes_of(process.pid)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
