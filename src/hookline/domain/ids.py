"""Names for things: a prefix that tells the kind, then 26 characters that sort by time of birth.

The 26 characters are a ULID in lower case: 48 bits of milliseconds since 1970, 80 bits of dice, in Crockford's
base 32 (https://github.com/ulid/spec). Whoever makes ids holds the clock and the dice.
"""

from datetime import UTC, datetime, timedelta
from typing import Final, NewType

EventId = NewType("EventId", str)  # evt_...
MeetingId = NewType("MeetingId", str)  # mtg_...
CallId = NewType("CallId", str)  # call_...
DeliveryId = NewType("DeliveryId", str)  # dlv_...
BatchId = NewType("BatchId", DeliveryId)  # batch_...: owed as a delivery is
WebhookId = NewType("WebhookId", int)  # a small integer, as in Brevo's API
KeyId = NewType("KeyId", str)  # key_...
ProcessId = NewType("ProcessId", int)  # a small integer, as in Brevo's API
NoticeId = NewType("NoticeId", str)  # ntc_...
UserId = NewType("UserId", str)  # usr_...
PhoneLineId = NewType("PhoneLineId", str)  # line_...
ConnectorId = NewType("ConnectorId", str)  # con_...

#: What events are about: a meeting or a call.
SubjectId = MeetingId | CallId

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS: Final = tuple(a + b for a in _ALPHABET for b in _ALPHABET)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
RANDOM_BITS: Final = 80


def ulid(born_at: datetime, dice: int) -> str:
    """26 characters that sort by `born_at` (millisecond precision), then by `dice` (80 random bits)."""
    return spell(ulid_number(born_at, dice))


def ulid_number(born_at: datetime, dice: int) -> int:
    """The 128 bits of a ULID. One more is the next id, when ids of one millisecond must keep their order."""
    return ((born_at - _EPOCH) // _MILLISECOND) << RANDOM_BITS | dice


def spell(number: int) -> str:
    """The 26 characters of a ULID's 128 bits."""
    return "".join([_PAIRS[(number >> shift) & 1023] for shift in range(120, -1, -10)])


def delivery_id(event: EventId, webhook: WebhookId) -> DeliveryId:
    """The one delivery of this event to this webhook: its id is a function of the two, so it cannot be owed twice."""
    return DeliveryId(f"dlv_{event.removeprefix('evt_')}_{webhook}")
