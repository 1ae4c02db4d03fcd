"""Every kind of connector, and how two of them look at a phone system before it is connected."""

import random
from collections.abc import Mapping
from typing import Any

from hookline.adapters.http_server import Server as Server  # noqa: PLC0414  the command line has it from here
from hookline.bootstrap.parts import system_clock
from hookline.connectors.aircall import Aircall
from hookline.connectors.asterisk import Asterisk, looking
from hookline.connectors.asterisk.looking import Seen
from hookline.connectors.asterisk.settings import read_settings
from hookline.connectors.dialpad import Dialpad
from hookline.connectors.freeswitch import FreeSwitch
from hookline.connectors.freeswitch import looking as freeswitch_looking
from hookline.connectors.freeswitch import settings as freeswitch_settings
from hookline.connectors.plivo import Plivo
from hookline.connectors.ringover import Ringover
from hookline.connectors.telnyx import Telnyx
from hookline.connectors.three_cx import ThreeCx
from hookline.connectors.twilio import Twilio
from hookline.connectors.vonage import Vonage
from hookline.ports.clock import Clock
from hookline.ports.connectors import Connector


def connector_kinds(clock: Clock, dice: random.Random) -> Mapping[str, Connector]:
    """Every kind of connector, by its name."""
    kinds: tuple[Connector, ...] = (
        Asterisk(clock, dice.random),
        FreeSwitch(clock, dice.random),
        Aircall(),
        Dialpad(),
        Ringover(),
        ThreeCx(),
        Twilio(),
        Telnyx(),
        Vonage(),
        Plivo(),
    )
    return {kind.kind: kind for kind in kinds}


async def look_at_asterisk(settings: Mapping[str, Any]) -> Seen:
    """What an Asterisk lets us see; see `connectors.asterisk.looking`."""
    return await looking.look(read_settings(settings), system_clock())


async def look_at_freeswitch(settings: Mapping[str, Any]) -> freeswitch_looking.Seen:
    """What a FreeSWITCH lets us see; see `connectors.freeswitch.looking`."""
    return await freeswitch_looking.look(freeswitch_settings.read_settings(settings), system_clock())
