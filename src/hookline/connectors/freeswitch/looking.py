"""Looking at a FreeSWITCH before it is connected: does its event socket let us in, does it post records, what are its
gateways? Nothing is changed there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from re import compile as pattern
from typing import Final

from hookline.connectors.freeswitch.link import PATIENCE_SECONDS, Link
from hookline.connectors.freeswitch.settings import FreeSwitchSettings
from hookline.ports.clock import Clock

#: A row of `sofia status` about a gateway: the profile, two colons, the name. Source: mod_sofia, cmd_status.
_GATEWAY: Final = pattern(r"^\s*([^\s:]+)::(\S+)\s+gateway\b")
_VERSION: Final = pattern(r"FreeSWITCH Version (\S+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateway:
    """A way outside."""

    name: str
    profile: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a FreeSWITCH lets us see."""

    version: str  # "" when it does not tell
    has_json_cdr: bool  # mod_json_cdr is loaded
    gateways: tuple[Gateway, ...]

    @property
    def trunk_prefixes(self) -> Sequence[str]:
        """How channels of gateways' profiles begin."""
        return [f"sofia/{profile}/" for profile in dict.fromkeys(each.profile for each in self.gateways)]


async def look(settings: FreeSwitchSettings, clock: Clock) -> Seen:
    """Log in, look around, and leave.

    Raises:
        NoLink: nobody is there, it does not speak as FreeSWITCH does, or does not let us in.
    """
    link = await Link.opened(settings, clock)
    patience = clock.alarm(PATIENCE_SECONDS, link.close)
    try:
        version = _VERSION.search(await link.ask("version"))
        has_json_cdr = (await link.ask("module_exists mod_json_cdr")).strip() == "true"
        rows = (_GATEWAY.match(row) for row in (await link.ask("sofia status")).splitlines())
        gateways = tuple(Gateway(name=row[2], profile=row[1]) for row in rows if row is not None)
        return Seen(version=version[1] if version else "", has_json_cdr=has_json_cdr, gateways=gateways)
    finally:
        patience.cancel()
        link.close()
