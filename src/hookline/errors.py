"""Everything that can be refused, as one family.

    HooklineError
    ├── Invalid             what was asked is malformed; names the fields
    │   └── MissingField    a needed field is absent
    ├── Unauthorized        no key, or one nobody knows
    ├── PermissionDenied    a known key without the scope
    ├── NotFound            no such thing
    ├── MethodNotAllowed    the path exists, the verb does not
    ├── Conflict            fine by itself, impossible in the present state
    ├── TooLarge            more than one request may carry
    ├── IdempotencyMismatch an idempotency key used again for something else
    └── Unavailable         the store cannot answer now; nothing was kept

`code` is for machines, `message` says what happened, `hint` what to do. `kind` is how a door maps it to its own
numbers: only `api/app.py` knows HTTP statuses, only `cli` exit codes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

Kind = Literal[
    "invalid",
    "unauthorized",
    "forbidden",
    "not_found",
    "method_not_allowed",
    "conflict",
    "too_large",
    "mismatch",
    "unavailable",
]


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that is not as it must be. `field` is a path such as `event_participants[0].EMAIL`."""

    field: str
    message: str


class HooklineError(Exception):
    """The root of the family: a code for machines, a message of what happened, a hint of what to do."""

    kind: ClassVar[Kind]

    def __init__(self, message: str, *, code: str, hint: str = "", fields: Sequence[FieldError] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint
        self.fields = tuple(fields)


class Invalid(HooklineError):
    """What was asked is malformed. Nothing was changed."""

    kind = "invalid"

    def __init__(
        self, message: str, *, code: str = "invalid_parameter", hint: str = "", fields: Sequence[FieldError] = ()
    ) -> None:
        super().__init__(message, code=code, hint=hint, fields=fields)

    @classmethod
    def field(cls, field: str, message: str, *, code: str = "invalid_parameter", hint: str = "") -> "Invalid":
        """Refuse one field by name."""
        return cls(f"{field}: {message}", code=code, hint=hint, fields=[FieldError(field, message)])

    def under(self, path: str) -> "Invalid":
        """The same refusal of something that stands at `path` in a larger whole."""
        return Invalid(
            f"{path}.{self.message}",
            code=self.code,
            hint=self.hint,
            fields=[FieldError(f"{path}.{each.field}", each.message) for each in self.fields],
        )


class MissingField(Invalid):
    """A needed field is absent; or several are, and the first is in the message."""

    def __init__(self, field: str, *more: str) -> None:
        fields = [FieldError(each, "is needed.") for each in (field, *more)]
        super().__init__(f"{field}: is needed.", code="missing_parameter", fields=fields)


class Unauthorized(HooklineError):
    """No key was given, or one that nobody knows."""

    kind = "unauthorized"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, code="unauthorized", hint=hint)


class PermissionDenied(HooklineError):
    """The key is known, but its scope does not reach here."""

    kind = "forbidden"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, code="permission_denied", hint=hint)


class NotFound(HooklineError):
    """There is no such thing."""

    kind = "not_found"

    def __init__(self, message: str) -> None:
        super().__init__(message, code="document_not_found")


class MethodNotAllowed(HooklineError):
    """The path exists, the verb does not."""

    kind = "method_not_allowed"

    def __init__(self, message: str, *, allowed: Sequence[str]) -> None:
        super().__init__(message, code="method_not_allowed", hint=f"It takes {', '.join(allowed)}.")
        self.allowed = tuple(allowed)


class Conflict(HooklineError):
    """Fine by itself, impossible in the present state of the thing."""

    kind = "conflict"

    def __init__(self, message: str, *, code: str, hint: str = "") -> None:
        super().__init__(message, code=code, hint=hint)


class TooLarge(HooklineError):
    """More than one request may carry."""

    kind = "too_large"

    def __init__(self, message: str) -> None:
        super().__init__(message, code="payload_too_large")


class IdempotencyMismatch(HooklineError):
    """An idempotency key was used before, for a request that differs."""

    kind = "mismatch"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, code="idempotency_mismatch", hint=hint)


class Unavailable(HooklineError):
    """The store cannot answer now. Nothing was kept: asking again is safe."""

    kind = "unavailable"

    def __init__(
        self, message: str, *, hint: str = "Nothing was kept; ask again in a moment.", for_operator: str = ""
    ) -> None:
        """`for_operator` is the message for logs and commands, where it says more than strangers may read."""
        super().__init__(message, code="unavailable", hint=hint)
        self.for_operator = for_operator or message
