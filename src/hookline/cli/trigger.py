"""`hookline trigger`: the page's own sample of an event, sent to see what a receiver does with it."""

import asyncio
import os
from datetime import timedelta
from typing import Annotated, Any, Final

import typer

from hookline import bootstrap
from hookline.cli.asking import Told, ask
from hookline.domain.events import EventKind
from hookline.domain.ids import RANDOM_BITS, ulid
from hookline.domain.signatures import SECRET_BYTES, new_secret
from hookline.engine.requests import RequestMaker, sample_claim
from hookline.errors import Invalid, Unavailable
from hookline.settings import Settings, load_settings

#: How long the outcome of a test may take: longer than any webhook's time limit.
PATIENCE: Final = timedelta(seconds=40)
_LOOK_EVERY: Final = timedelta(milliseconds=100)


def trigger(
    event: Annotated[EventKind, typer.Argument(help="Which event.")],
    *,
    to: Annotated[str | None, typer.Option(help="Send one signed POST straight to this URL, without a server.")] = None,
    secret: Annotated[str | None, typer.Option(help="With --to: sign with this secret (whsec_...).")] = None,
    api_key: Annotated[str | None, typer.Option(help="An admin key; HOOKLINE_API_KEY if absent.")] = None,
) -> None:
    """Send the sample of EVENT, marked as a test, to every webhook that wants it, and show what came of it."""
    settings = load_settings(os.environ)
    if to is None:
        fine = asyncio.run(_to_all(settings, api_key or settings.api_key, event))
    else:
        fine = asyncio.run(_to_one(settings, event, to, secret))
    if not fine:
        raise typer.Exit(1)


async def _to_one(settings: Settings, event: EventKind, url: str, secret: str | None) -> bool:
    clock, dice = bootstrap.system_clock(), bootstrap.Dice()
    now = clock.now()
    if secret is None:
        secret = new_secret(dice.randbytes(SECRET_BYTES))
        typer.echo(f"Signed with {secret}")
    claim = sample_claim(event, url, secret, ulid(now, dice.getrandbits(RANDOM_BITS)), now)
    async with bootstrap.open_sender(settings) as sender:
        answer = await sender.send(RequestMaker(claim.webhook, now).request(claim, now))
    typer.echo(f"{url}: {answer.status or 'no answer'} in {answer.duration_ms:.0f} ms. {answer.error}".rstrip())
    if answer.body:
        typer.echo(answer.body.decode("utf-8", "replace"))
    return answer.status is not None and answer.status // 100 == 2 and not answer.error


async def _to_all(settings: Settings, key: str | None, event: EventKind) -> bool:
    if key is None:
        raise Invalid("An admin key is needed.", hint="Set HOOKLINE_API_KEY, or give --api-key.")
    base = settings.base_url
    webhooks = _value(ask(base, key, "GET", "/v3/webhooks?sort=asc"))["webhooks"]
    wanting = [each for each in webhooks if each["isActive"] and event in each["events"]]
    if not wanting:
        raise Invalid(f"No active webhook wants {event}.", hint="Make one, or send it somewhere with --to URL.")
    sent = [
        (each, _value(ask(base, key, "POST", f"/v3/webhooks/{each['id']}/test", {"event": event}))["deliveryId"])
        for each in wanting
    ]
    return all([await _outcome(base, key, webhook, delivery_id) for webhook, delivery_id in sent])


async def _outcome(base: str, key: str, webhook: dict[str, Any], delivery_id: str) -> bool:
    clock = bootstrap.system_clock()
    give_up_at = clock.now() + PATIENCE
    while clock.now() < give_up_at:
        delivery = _value(ask(base, key, "GET", f"/v3/deliveries/{delivery_id}"))
        if delivery["attempts"]:
            attempt = delivery["attempts"][-1]
            said = attempt["status"] or "no answer"
            typer.echo(
                f"{webhook['url']}: {said} in {attempt['durationMs']:.0f} ms. {attempt['error'] or ''}".rstrip()
                + f" [{delivery['status']}, {delivery_id}]"
            )
            return bool(delivery["status"] == "delivered")
        await clock.sleep_until(clock.now() + _LOOK_EVERY)
    typer.echo(f"{webhook['url']}: nothing came of {delivery_id} within {PATIENCE.seconds} s.")
    return False


def _value(told: Told) -> Any:
    if not told.is_fine:
        raise Unavailable(told.message, hint="")
    return told.value
