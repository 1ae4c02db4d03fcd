"""What the queues that one would build with deliver: measured with the queue filled beforehand, and end to end."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bench import processes
from bench.processes import Receiver

#: The first and the last of a drain are left out: workers that start one after the other, or that have run dry, would
#: make the queue look slower than it is.
_LEFT_OUT: Final = 0.15
_WARM_UP_TASKS: Final = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """One queue with its workers."""

    module: str
    worker: tuple[str, ...]

    def drained(self, count: int) -> dict[str, float]:
        """Fill the queue, then let the workers empty it."""
        with Receiver.started() as receiver, processes.redis() as redis_url:
            self._fill(receiver, redis_url, count)
            with self._workers(redis_url) as session:
                receiver.wait_for(count)
                arrivals = receiver.arrivals_ns()
                cpu_seconds = processes.cpu_seconds(session)
        return {
            "deliveries_per_second": middle_rate(arrivals),
            "cpu_us_per_delivery": cpu_seconds / count * 1e6,
        }

    def end_to_end(self, count: int) -> dict[str, float]:
        """Let the workers deliver while the queue is being filled."""
        with (
            Receiver.started() as receiver,
            processes.redis() as redis_url,
            self._workers(redis_url) as session,
        ):
            self._fill(receiver, redis_url, _WARM_UP_TASKS)
            receiver.wait_for(_WARM_UP_TASKS)
            receiver.forget()
            cpu_before = processes.cpu_seconds(session)
            started_ns = float(self._fill(receiver, redis_url, count))
            receiver.wait_for(count)
            last_ns = receiver.arrivals_ns()[-1]
            cpu_seconds = processes.cpu_seconds(session) - cpu_before
        return {
            "deliveries_per_second": count / (last_ns - started_ns) * 1e9,
            "cpu_us_per_delivery": cpu_seconds / count * 1e6,
        }

    def _fill(self, receiver: Receiver, redis_url: str, count: int) -> str:
        """Put tasks into the queue; answers when the first of them was, in nanoseconds since 1970."""
        arguments = processes.python("-m", self.module, receiver.url + "/hook", str(count))
        return processes.run_to_end(arguments, {"BENCH_REDIS_URL": redis_url})

    @contextlib.contextmanager
    def _workers(self, redis_url: str) -> Iterator[int]:
        with processes.running(processes.python(*self.worker), {"BENCH_REDIS_URL": redis_url}) as process:
            yield process.pid


#: Two processes, each with one POST at a time, without the talk among workers, which only costs.
CELERY: Final = Queue(
    module="bench.baseline_celery",
    worker=(
        *("-m", "celery", "-A", "bench.baseline_celery", "worker", "--pool", "prefork", "-c", "2"),
        *("--loglevel", "WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat"),
    ),
)

#: Two processes, each with up to 100 POSTs at a time.
TASKIQ: Final = Queue(
    module="bench.baseline_taskiq",
    worker=("-m", "taskiq", "worker", "bench.baseline_taskiq:broker", "--workers", "2", "--log-level", "WARNING"),
)


def middle_rate(arrivals_ns: Sequence[int]) -> float:
    """Arrivals a second, without the first and the last 15 %."""
    first = int(len(arrivals_ns) * _LEFT_OUT)
    last = len(arrivals_ns) - 1 - first
    return (last - first) / (arrivals_ns[last] - arrivals_ns[first]) * 1e9
