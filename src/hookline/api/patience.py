"""How long a client may take for what it sends, and for taking what it is sent."""

from dataclasses import dataclass
from typing import Final

from hookline.api.http_messages import MAX_BODY
from hookline.api.request_reader import Head, Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long a client may take, in seconds. Looked at every `look_seconds`, so it may be that much longer."""

    head_seconds: float = 30.0  # for a whole head, from its first byte
    body_seconds: float = 60.0  # for a body
    body_bytes_per_second: int = 8 * 1024  # what is announced (1 MiB, when nothing is) prolongs it at this rate
    write_seconds: float = 60.0  # for taking some of what is written to it
    linger_seconds: float = 2.0  # for reading its answer when it is refused in the middle of a request
    status_seconds: float = 5.0  # for a whole request, beyond the limit of connections
    look_seconds: float = 5.0

    def for_body(self, head: Head) -> float:
        """How long the body of this request may take."""
        announced = MAX_BODY if head.is_chunked else min(head.length, MAX_BODY)
        return self.body_seconds + announced / self.body_bytes_per_second


#: How long clients may take if nothing else is said.
USUAL: Final = Patience()


def too_slow(seconds: float) -> Refused:
    """The refusal of a request that was not whole in its time."""
    return Refused(408, "request_timeout", f"The request was not whole within {seconds:.0f} s.")
