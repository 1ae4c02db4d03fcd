"""Backoff: which failures are tried again, and how long to wait before each attempt.

The caller holds the dice. Source of the default: Standard Webhooks, "Deliverability and reliability"; of `brevo`:
Brevo, "Retry mechanism" (the reading in which a 5xx is retried, which is the one that loses nothing).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

MAX_JITTER: Final = 0.2
MAX_RETRIES: Final = 30
MAX_WAIT_SECONDS: Final = 48 * 3600
MAX_RETRY_AFTER_SECONDS: Final = 6 * 3600

_TOO_MANY: Final = 429
_UNAVAILABLE: Final = 503
_GONE: Final = 410


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When a failed delivery is attempted again."""

    name: str  # "standard", "brevo" or "own"
    waits_seconds: tuple[int, ...]  # before attempt 2, 3, ...
    jitter: bool = False
    retry_4xx: bool = True
    retry_429: bool = True
    retry_3xx: bool = True
    rest_seconds: int = 0  # a host that does not answer is left alone this long

    def retries(self, status: int | None) -> bool:
        """Whether a failure with this status (None: no answer) is tried again at all."""
        if status is None:
            return True
        if status == _GONE:
            return False
        if status == _TOO_MANY:
            return self.retry_429
        family = status // 100
        return {3: self.retry_3xx, 4: self.retry_4xx}.get(family, True)


STANDARD: Final = RetryPolicy(
    name="standard", waits_seconds=(5, 60, 300, 1800, 7200, 21600, 43200, 86400, 108000), jitter=True
)
BREVO: Final = RetryPolicy(
    name="brevo", waits_seconds=(600, 3600, 7200, 28800), retry_4xx=False, retry_3xx=False, rest_seconds=600
)
NAMED: Final[Mapping[str, RetryPolicy]] = {policy.name: policy for policy in (STANDARD, BREVO)}


def own_policy(waits_seconds: tuple[int, ...], *, retry_4xx: bool) -> RetryPolicy:
    """A policy with the waits somebody wrote down, kept to the second."""
    return RetryPolicy(name="own", waits_seconds=waits_seconds, retry_4xx=retry_4xx, retry_429=retry_4xx)


def wait_before_retry(policy: RetryPolicy, retry: int, *, jitter: float) -> float | None:
    """Seconds to wait before retry number `retry` (1 is the first), or None when there is no such retry.

    `jitter` is a draw from [0, 1): it lengthens the wait by up to 20 % where the policy has jitter.
    """
    if retry > len(policy.waits_seconds):
        return None
    wait = policy.waits_seconds[retry - 1]
    return wait * (1 + MAX_JITTER * jitter) if policy.jitter else float(wait)


def asked_wait(status: int | None, retry_after: str | None, now: datetime) -> float:
    """Seconds that the receiver asked to be left alone: its `Retry-After` on 429 or 503, at most 6 h, else 0."""
    if status not in (_TOO_MANY, _UNAVAILABLE) or not retry_after:
        return 0.0
    return min(max(_retry_after_seconds(retry_after.strip(), now), 0.0), float(MAX_RETRY_AFTER_SECONDS))


def _retry_after_seconds(text: str, now: datetime) -> float:
    """RFC 9110, 10.2.3: whole seconds or an HTTP date; anything else asks for nothing."""
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return (parsedate_to_datetime(text).replace(tzinfo=now.tzinfo) - now) / timedelta(seconds=1)
    except (ValueError, OverflowError):
        return 0.0
