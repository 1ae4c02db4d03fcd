"""`hookline keys`: who may use the API."""

import os
from typing import Annotated

import msgspec
import typer

from hookline import bootstrap
from hookline.domain.instants import wire_form
from hookline.domain.keys import Scope
from hookline.services import keys
from hookline.settings import load_settings

app = typer.Typer(help="Make, list and remove API keys.", no_args_is_help=True, rich_markup_mode=None)

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def create(
    name: Annotated[str, typer.Option(help="What the key is for.")],
    scope: Annotated[Scope, typer.Option(help="How far it reaches.")],
    *,
    json: Json = False,
) -> None:
    """Make a key. It is shown this once."""
    with bootstrap.open_store(load_settings(os.environ)) as store:
        key = store.write(keys.create_key, name, scope)
    typer.echo(_json({"key": key, "name": name, "scope": scope}) if json else key)


@app.command(name="list")
def list_(*, json: Json = False) -> None:
    """List the keys, without showing them."""
    with bootstrap.open_store(load_settings(os.environ)) as store:
        known = store.read(keys.list_keys)
    rows = [
        {"id": key.id, "name": key.name, "scope": key.scope.value, "createdAt": wire_form(key.created_at)}
        for key in known
    ]
    typer.echo(_json(rows) if json else "\n".join("  ".join(row.values()) for row in rows) or "There is no key yet.")


@app.command()
def remove(key_id: Annotated[str, typer.Argument(metavar="ID", help="Its id, from `hookline keys list`.")]) -> None:
    """Remove a key. Whoever holds it is refused within seconds."""
    with bootstrap.open_store(load_settings(os.environ)) as store:
        store.write(keys.remove_key, key_id)
    typer.echo(f"{key_id} is removed.")


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
