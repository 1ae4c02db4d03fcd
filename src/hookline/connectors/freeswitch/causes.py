"""Why a leg ended, in FreeSWITCH's words: names of causes, which are those of Q.850 and some of its own.

Source: switch_types.h (SWITCH_CAUSE_...), sofia_glue.c.
"""

from typing import Final

#: Whoever called it hung up first.
GIVEN_UP: Final = frozenset({"ORIGINATOR_CANCEL"})
#: A leg goes on without the one that ended so.
TRANSFERS: Final = frozenset({"BLIND_TRANSFER", "ATTENDED_TRANSFER"})
#: Q.850. Causes of FreeSWITCH's own have the nearest one: time ran out is "no answer", not registered is "absent".
_Q850: Final = {
    "UNALLOCATED_NUMBER": 1,
    "NO_ROUTE_TRANSIT_NET": 2,
    "NO_ROUTE_DESTINATION": 3,
    "NORMAL_CLEARING": 16,
    "USER_BUSY": 17,
    "NO_USER_RESPONSE": 20,  # what FreeSWITCH makes of 480, not of 408
    "NO_ANSWER": 19,
    "SUBSCRIBER_ABSENT": 20,
    "CALL_REJECTED": 21,
    "NUMBER_CHANGED": 22,
    "DESTINATION_OUT_OF_ORDER": 27,
    "INVALID_NUMBER_FORMAT": 28,
    "NORMAL_UNSPECIFIED": 31,
    "NORMAL_CIRCUIT_CONGESTION": 34,
    "NETWORK_OUT_OF_ORDER": 38,
    "NORMAL_TEMPORARY_FAILURE": 41,
    "SWITCH_CONGESTION": 42,
    "RECOVERY_ON_TIMER_EXPIRE": 102,
    "ALLOTTED_TIMEOUT": 19,
    "PROGRESS_TIMEOUT": 19,
    "USER_NOT_REGISTERED": 20,
    "GATEWAY_DOWN": 27,
    "INVALID_GATEWAY": 27,
    "INVALID_URL": 28,
    "INVALID_PROFILE": 27,
    "LOSE_RACE": 26,
    "PICKED_OFF": 26,
}
_PREFIX: Final = "sip:"


def q850(cause: str, number: str = "") -> int | None:
    """The cause by its name; by its number where the name has none."""
    return _Q850.get(cause) or _code(number)


def sip(*statuses: str) -> int | None:
    """The first status that tells why. 2xx tells nothing, and 487 only that somebody cancelled."""
    codes = (_code(status.removeprefix(_PREFIX)) for status in statuses)
    return next((code for code in codes if code is not None and 300 <= code < 700 and code != 487), None)


def _code(text: str) -> int | None:
    return int(text) or None if text.isascii() and text.isdigit() and len(text) <= 3 else None
