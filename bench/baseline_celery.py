"""What one would build first: a Celery worker on Redis that posts with requests.

Late acknowledgement, so that a worker's death loses nothing; one kept-alive session a worker process; the body signed
as Hookline signs it. Nothing is stored about an outcome. Run as a program, it puts tasks into the queue.
"""

import os
import sys
import time
from typing import Final

import requests
from celery import Celery

from bench.bodies import call_bodies, signed_headers

_TIMEOUT_SECONDS: Final = (5, 15)

app = Celery("baseline", broker=os.environ["BENCH_REDIS_URL"])
app.conf.update(task_acks_late=True, task_ignore_result=True, worker_hijack_root_logger=False)
session = requests.Session()


def deliver(url: str, event_id: str, body: str) -> None:
    """Make one POST. An answer other than 2xx raises, as it would to be tried again."""
    raw = body.encode()
    headers = signed_headers(event_id, raw)
    session.post(url, data=raw, headers=headers, timeout=_TIMEOUT_SECONDS, allow_redirects=False).raise_for_status()


task = app.task(name="deliver")(deliver)


def main() -> None:
    """Queue deliveries (`python -m bench.baseline_celery URL COUNT`); print when the first was, in nanoseconds."""
    url, count = sys.argv[1], int(sys.argv[2])
    bodies = [body.decode() for body in call_bodies(count)]
    print(time.time_ns())
    for number in range(count):
        task.delay(url, f"evt_{number:026d}", bodies[number % len(bodies)])


if __name__ == "__main__":
    main()
