"""What `hookline demo` looks like: on a terminal, on one without colours, and when piped into a file."""

import json
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from rich.console import Console
from rich.highlighter import JSONHighlighter
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from hookline.cli.subscriber import Arrival

_MARGIN: Final = "   "
_NARROWEST: Final = 40
_WIDEST: Final = 120
#: Of JSON: everything up to the next comma that is not inside a string.
_UP_TO_COMMA: Final = re.compile(r'(?:"(?:\\.|[^"\\])*"|[^",])*,?')


@dataclass(slots=True, kw_only=True)
class Expected:
    """One arrival that has to come, and what came."""

    label: str
    event: str
    subject: str
    starts_at: datetime | None = None  # of the meeting, when it is this that is announced
    arrival: Arrival | None = None

    @property
    def is_fine(self) -> bool:
        """Whether it arrived, and from us."""
        return self.arrival is not None and not self.arrival.problem

    @property
    def took_ms(self) -> float | None:
        """Milliseconds from the API's acceptance, or from the scheduled start, to the arrival of the request.

        Up to one too many: `hookline-occurred-at` has whole milliseconds.
        """
        if self.arrival is None or self.arrival.message is None:
            return None
        return (self.arrival.at - (self.starts_at or self.arrival.message.occurred_at)) / timedelta(milliseconds=1)

    @property
    def outcome(self) -> str:
        """What came of it, in words."""
        return "did not arrive" if self.arrival is None else (self.arrival.problem or "verified")


class Screen:
    """Tells what happens as it happens."""

    def __init__(self) -> None:
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(errors="replace")  # a terminal that knows no dash shows a question mark
        self._console = Console(highlight=False, soft_wrap=True)
        self._width = min(max(self._console.width, _NARROWEST), _WIDEST)
        self._json = JSONHighlighter()
        self.is_watched = self._console.is_terminal

    def opening(self, server_url: str, subscriber_url: str) -> None:
        """Who is there."""
        self._line(("Hookline", "bold"), (": meetings and calls become signed webhooks, here and now.", ""))
        self._line()
        self._line((f"{_MARGIN}server      ", "dim"), (server_url, "cyan"), ("  SQLite in a temporary folder", "dim"))
        self._line((f"{_MARGIN}subscriber  ", "dim"), (subscriber_url, "cyan"), ("  verifies every signature", "dim"))

    def request(self, number: int, title: str, path: str, body: Any, status: int, took_ms: float) -> None:
        """A request that was made, and how the API answered."""
        self._line()
        self._line((f"{number}  {title}", "bold"))
        self._line((f"{_MARGIN}POST ", "dim"), (path, "cyan"), (f"  {status} in {took_ms:.0f} ms", "dim"))
        self._body(json.dumps(body, separators=(",", ":"), ensure_ascii=False), _MARGIN, "")

    def arrival(self, arrival: Arrival, expected: Expected | None) -> None:
        """A webhook that arrived."""
        bar = f"{_MARGIN}{'|' if self._console.options.ascii_only else '│'} "
        verdict = ("  signature verified", "green") if not arrival.problem else (f"  {arrival.problem}", "bold red")
        self._line((bar, "magenta"), (arrival.event, "bold magenta"), verdict, (_took(expected), "dim"))
        if arrival.message is not None:
            message = arrival.message
            facts = f"{message.id}  {message.subject}  sequence {message.sequence}"
            self._line((bar, "magenta"), (facts, "dim"))
        self._body(arrival.body.decode("utf-8", "replace"), bar, "magenta")

    def countdown(self) -> "Countdown":
        """Shows how long it is until the start."""
        return Countdown(self._console)

    def summary(self, expected: Sequence[Expected]) -> None:
        """What was expected, and what came of each."""
        table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
        table.add_column("event")
        table.add_column("signature")
        table.add_column("arrived after", justify="right")
        for each in expected:
            took = "" if each.took_ms is None else f"{each.took_ms:.0f} ms"
            table.add_row(each.label, Text(each.outcome, "green" if each.is_fine else "bold red"), took)
        self._line()
        self._console.print(table, soft_wrap=False)
        self._line()
        self._line(("Counted from the API's acceptance; a start, from its scheduled instant.", "dim"))

    def closing(self, text: str) -> None:
        """Plain lines, to be copied from."""
        self._console.print(text, markup=False)

    def _line(self, *parts: tuple[str, str]) -> None:
        self._console.print(Text.assemble(*parts))

    def _body(self, body: str, margin: str, style: str) -> None:
        for line in filled(body, self._width - len(margin)):
            self._console.print(Text.assemble((margin, style), self._json(line)))


class Countdown:
    """A bar on a terminal; elsewhere one line."""

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = (TextColumn(_MARGIN + "{task.description}"), BarColumn())
        self._progress = Progress(*columns, console=console, transient=True, auto_refresh=False)
        self._task: TaskID | None = None

    def show(self, seconds_left: float) -> None:
        """How long it is now."""
        says = f"The first meeting starts in {seconds_left:.1f} s"
        if self._task is None:
            self._console.print()
            self._task = self._progress.add_task(says, total=seconds_left)
            if self._console.is_terminal:
                self._progress.start()
            else:
                self._console.print(f"{_MARGIN}{says}.")
        total = self._progress.tasks[0].total or 0.0
        self._progress.update(self._task, description=says, completed=total - seconds_left)
        if self._console.is_terminal:
            self._progress.refresh()

    def end(self) -> None:
        """Leave no trace of the bar."""
        self._progress.stop()


def filled(body: str, width: int) -> list[str]:
    """Compact JSON in lines of at most `width`, broken behind commas where that is possible.

    Joined again they are the very body.
    """
    pieces = _UP_TO_COMMA.findall(body)
    if "".join(pieces) != body:  # no JSON
        pieces = [body]
    lines = [""]
    for piece in pieces:
        if lines[-1] and len(lines[-1]) + len(piece) > width:
            lines.append("")
        lines[-1] += piece
        while len(lines[-1]) > width:
            lines[-1:] = [lines[-1][:width], lines[-1][width:]]
    return lines


def _took(expected: Expected | None) -> str:
    if expected is None or expected.took_ms is None:
        return ""
    return f"  {expected.took_ms:.0f} ms after " + ("the scheduled start" if expected.starts_at else "it was accepted")
