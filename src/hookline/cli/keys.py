"""`hookline keys`: who may use the API. A server may run meanwhile: it hears of a change within seconds."""

import os
from collections.abc import Sequence
from typing import Annotated, Any, Final

import msgspec
import typer

from hookline.bootstrap import storage
from hookline.cli.failed import Failed
from hookline.domain.instants import wire_form
from hookline.domain.keys import Scope
from hookline.services import keys
from hookline.settings import Settings, load_settings

app = typer.Typer(help="Make, list and remove API keys.", no_args_is_help=True, rich_markup_mode=None)

_NONE: Final = "No key is kept. Make one with `hookline keys create`. That of HOOKLINE_API_KEY is not listed."
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command(short_help="Make a key, and show it this once.")
def create(
    name: Annotated[str, typer.Option(help="What the key is for.")],
    scope: Annotated[Scope, typer.Option(help="How far it reaches.")],
    *,
    json: Json = False,
) -> None:
    """Make a key. It is shown this once."""
    settings = load_settings(os.environ)
    place = storage.place_of(settings)
    if not place.exists():
        typer.echo(f"There was no database at {place}; it is made now, and the key is for it.", err=True)
    with storage.open_store(settings) as store:
        key = store.write(keys.create_key, name, scope)
    typer.echo(msgspec.json.encode({"key": key, "name": name.strip(), "scope": scope}) if json else key)


@app.command(name="list")
def list_(*, json: Json = False) -> None:
    """List the keys, without showing them."""
    with storage.open_store(_of_existing_database()) as store:
        known = store.read(keys.list_keys)
    rows = [
        {"id": key.id, "name": key.name, "scope": key.scope.value, "createdAt": wire_form(key.created_at)}
        for key in known
    ]
    if json:
        typer.echo(msgspec.json.encode(rows))
    else:
        typer.echo("\n".join(_aligned(rows)) or _NONE)


@app.command()
def remove(key_id: Annotated[str, typer.Argument(metavar="ID", help="Its id, from `hookline keys list`.")]) -> None:
    """Remove a key. Whoever holds it is refused within seconds."""
    with storage.open_store(_of_existing_database()) as store:
        store.write(keys.remove_key, key_id)
    typer.echo(f"{key_id} is removed.")


def _of_existing_database() -> Settings:
    """The settings, if there is a database where they say: a path that is misspelt must not become an empty one."""
    settings = load_settings(os.environ)
    place = storage.place_of(settings)
    if not place.exists():
        raise Failed(
            f"There is no database {place}.",
            hint="Look at HOOKLINE_DATABASE; `hookline serve` and `hookline keys create` make it.",
        )
    return settings


def _aligned(rows: Sequence[dict[str, Any]]) -> list[str]:
    widths = {column: max(len(row[column]) for row in rows) for column in rows[0]} if rows else {}
    return ["  ".join(f"{row[column]:{width}}" for column, width in widths.items()).rstrip() for row in rows]
