"""`python -m bench`: measure, show, keep. What each figure means: docs/explanation/performance.md."""

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console

from bench import large, machine, nodes, processes, report, scaling, scenarios
from bench.queues import CELERY, TASKIQ

_RESULTS: Final = Path(__file__).parent / "results" / "latest.json"
_ROUNDS: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """One thing that is measured once a round."""

    name: str
    measure: Callable[[int], dict[str, float]]
    amount: int
    quick_amount: int
    needs_redis: bool = False
    most_rounds: int = _ROUNDS

    def round(self, *, quick: bool) -> dict[str, float]:
        """Measure once."""
        return self.measure(self.quick_amount if quick else self.amount)


MEASUREMENTS: Final = (
    Measurement(name="end-to-end", measure=scenarios.end_to_end, amount=15_000, quick_amount=3_000),
    Measurement(name="together", measure=scenarios.end_to_end_together, amount=15_000, quick_amount=3_000),
    Measurement(name="backlog", measure=scenarios.backlog, amount=100_000, quick_amount=10_000),
    Measurement(name="bare-client", measure=scenarios.bare_client, amount=60_000, quick_amount=20_000),
    Measurement(
        name="celery-end-to-end", measure=CELERY.end_to_end, amount=3_000, quick_amount=1_000, needs_redis=True
    ),
    Measurement(name="celery-drain", measure=CELERY.drained, amount=3_000, quick_amount=1_000, needs_redis=True),
    Measurement(
        name="taskiq-end-to-end", measure=TASKIQ.end_to_end, amount=10_000, quick_amount=3_000, needs_redis=True
    ),
    Measurement(name="taskiq-drain", measure=TASKIQ.drained, amount=10_000, quick_amount=3_000, needs_redis=True),
    Measurement(name="latency", measure=scenarios.accept_to_arrival, amount=500, quick_amount=100),
    Measurement(name="lateness", measure=scenarios.lateness, amount=5_000, quick_amount=5_000),
    Measurement(name="isolation", measure=scaling.isolation, amount=500, quick_amount=100),
    Measurement(name="large-bodies", measure=large.memory, amount=150, quick_amount=50, most_rounds=1),
    Measurement(name="long-requests", measure=large.beside_long_requests, amount=500, quick_amount=100),
    Measurement(name="fan-out", measure=scaling.fan_out, amount=20_000, quick_amount=4_000),
    Measurement(name="asterisk", measure=scenarios.asterisk, amount=2_000, quick_amount=200),
    Measurement(name="disk", measure=scaling.disk, amount=10_000, quick_amount=2_000),
    Measurement(name="claiming", measure=scaling.claiming, amount=1_000_000, quick_amount=30_000, most_rounds=1),
    Measurement(name="postgres-claiming", measure=nodes.claiming, amount=5_000_000, quick_amount=50_000, most_rounds=1),
    Measurement(
        name="postgres-left-behind", measure=nodes.left_behind, amount=180_000, quick_amount=4_000, most_rounds=1
    ),
    Measurement(name="postgres-end-to-end", measure=nodes.one_node, amount=15_000, quick_amount=3_000),
    Measurement(name="postgres-latency", measure=nodes.request_to_arrival, amount=500, quick_amount=100),
    Measurement(name="postgres-nodes", measure=nodes.several_nodes, amount=12_000, quick_amount=2_000, most_rounds=3),
    Measurement(name="postgres-drain", measure=nodes.several_drain, amount=40_000, quick_amount=4_000, most_rounds=3),
)


def main(arguments: Sequence[str]) -> None:
    """Run the rounds, then print the table and write `bench/results/latest.json`."""
    options = _parser().parse_args(arguments)
    progress = Console(stderr=True, highlight=False, soft_wrap=True)
    chosen = [measurement for measurement in MEASUREMENTS if options.only in (None, measurement.name)]
    if not processes.redis_is_installed() and any(measurement.needs_redis for measurement in chosen):
        progress.print("Install redis-server to measure the comparison with Celery and taskiq.")
        chosen = [measurement for measurement in chosen if not measurement.needs_redis]
    rounds = 1 if options.quick else options.rounds
    try:
        results = run(chosen, rounds, quick=options.quick, progress=progress)
    except processes.MeasurementFailed as failure:
        sys.exit("\n".join([str(failure), *getattr(failure, "__notes__", [])]))
    described = machine.description()
    report.keep(results, described, _RESULTS)
    if options.markdown:
        print(report.markdown(results, described, rounds))
    else:
        report.show(results, described, rounds)


def run(chosen: Sequence[Measurement], rounds: int, *, quick: bool, progress: Console) -> report.Results:
    """Every measurement in every round, the order reversed each time: a machine that slows down is fair to all."""
    results: dict[str, dict[str, list[float]]] = {}
    total, done = sum(min(rounds, measurement.most_rounds) for measurement in chosen), 0
    for number in range(rounds):
        of_this_round = [measurement for measurement in chosen if number < measurement.most_rounds]
        for measurement in of_this_round if number % 2 == 0 else reversed(of_this_round):
            done += 1
            with progress.status(f"{done} of {total}: {measurement.name}"):
                started = time.monotonic()
                figures = measurement.round(quick=quick)
            took = f"{time.monotonic() - started:.0f} s"
            progress.print(f"{done} of {total}: {measurement.name} ({took}): {_in_short(figures.items())}")
            for name, value in figures.items():
                results.setdefault(measurement.name, {}).setdefault(name, []).append(value)
    return results


def _in_short(figures: Iterable[tuple[str, float]]) -> str:
    return ", ".join(f"{name} {value:,.1f}" for name, value in figures)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description="Measure how fast, how late and how large it is."
    )
    names = [measurement.name for measurement in MEASUREMENTS]
    parser.add_argument("--only", choices=names, help="measure one thing")
    parser.add_argument("--rounds", type=int, default=_ROUNDS, help=f"how often, {_ROUNDS} unless told")
    parser.add_argument("--quick", action="store_true", help="one short round, to see that everything runs")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    return parser


if __name__ == "__main__":
    main(sys.argv[1:])
