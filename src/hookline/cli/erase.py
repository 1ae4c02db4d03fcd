"""`hookline erase`: a person is taken out of everything, by a running server.

It is the server that does it, not this process on the database: only the server can take back what it holds in memory
to be sent, so that nothing about the person goes out afterwards.
"""

import os
import sys
from typing import Annotated, Any, Final
from urllib.parse import quote

import msgspec
import typer

from hookline.cli.asking import admin_key, ask
from hookline.cli.failed import Failed
from hookline.domain.calls import parse_contact
from hookline.domain.text import require_email
from hookline.errors import Invalid
from hookline.settings import load_settings

#: A person with a hundred thousand calls takes minutes.
PATIENCE_SECONDS: Final = 3600.0


def erase(
    who: Annotated[str, typer.Argument(metavar="WHO", help="A participant's mail address, or a contact's number.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask first.")] = False,
    api_key: Annotated[str | None, typer.Option(help="An admin key, if not that of HOOKLINE_API_KEY.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Take a participant out of meetings, or a contact out of calls, with their events. It cannot be undone.

    If it is interrupted, do it again: it goes on where it ended.
    """
    settings = load_settings(os.environ)
    name, path = _named(who)
    key = admin_key(api_key, settings)
    if not yes:
        _require_agreement(name)
    told = ask(settings.base_url, key, "DELETE", path, timeout_seconds=PATIENCE_SECONDS).fine()
    typer.echo(msgspec.json.encode(told) if json else _in_words(name, told))


def _named(who: str) -> tuple[str, str]:
    """Whom it is about, and where to ask for it."""
    try:
        if "@" in who:
            require_email(who, "WHO")
            return who, f"/v3/participants/{quote(who, safe='')}"
        number = parse_contact(who, "WHO")
    except Invalid as refusal:
        if "@" not in who and any(map(str.isdecimal, who)):
            return who, f"/v3/contacts/{quote(who, safe='')}"  # calls may have it as told: the server knows
        raise typer.BadParameter(refusal.message.removeprefix("WHO: "), param_hint="WHO") from None
    return number, f"/v3/contacts/{quote(number)}"


def _require_agreement(name: str) -> None:
    if not sys.stdin.isatty():
        raise typer.BadParameter("nobody is here to be asked; say --yes.", param_hint="--yes")
    typer.echo(f"Erase {name} from everything that is kept? It cannot be undone. [y/N] ", nl=False, err=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise Failed("Nothing was erased.")


def _in_words(name: str, told: dict[str, Any]) -> str:
    if not any(told.values()):
        return _nobody(name)
    counts = (
        (told["meetings"], "meeting", "meetings"),
        (told["calls"], "call", "calls"),
        (told["events"], "event", "events"),
    )
    where = ", ".join(f"{count} {one if count == 1 else many}" for count, one, many in counts if count)
    return (
        f"{name} is erased: from {where}. Deliveries withdrawn: {told['withdrawn']}."
        f" Answers of receivers emptied: {told['answers']}."
    )


def _nobody(name: str) -> str:
    """What was looked for, and no more than that: the same address may be a host's, and a host is not erased."""
    if "@" in name:
        return f"No meeting has a participant {name}. Where it is the address of a host, it stays."
    return f"No call has the contact {name}. Where it is the number of a line, it stays."
