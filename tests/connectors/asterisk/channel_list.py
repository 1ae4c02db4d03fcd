"""Which channels an Asterisk has while it says what a capture says: its answers to `CoreShowChannels`.

Fields as in https://docs.asterisk.org/Latest_API/API_Documentation/AMI_Events/CoreShowChannel/, without a time of
their own, as Asterisk lists them.
"""

from collections.abc import Mapping
from typing import Final

_CHANNEL_SNAPSHOT: Final = (
    *("Channel", "ChannelState", "ChannelStateDesc", "CallerIDNum", "CallerIDName", "ConnectedLineNum"),
    *("ConnectedLineName", "Language", "AccountCode", "Context", "Exten", "Priority", "Uniqueid", "Linkedid"),
)


class ChannelList:
    """The channels and bridges that there are by now."""

    def __init__(self) -> None:
        self._channels: dict[str, dict[str, str]] = {}  # by Uniqueid
        self._began: dict[str, float] = {}
        self._bridges: dict[str, dict[str, str]] = {}  # by BridgeUniqueid
        self._now = 0.0

    def hear(self, event: Mapping[str, str]) -> None:
        """Keep account of one more event."""
        self._now = float(event.get("Timestamp") or self._now)
        kind, uniqueid, bridge = event.get("Event"), event.get("Uniqueid", ""), event.get("BridgeUniqueid", "")
        if kind == "Newchannel":
            self._channels[uniqueid] = {"BridgeId": ""}
            self._began[uniqueid] = self._now
        elif kind == "Hangup":
            self._channels.pop(uniqueid, None)
        elif kind == "BridgeDestroy":
            self._bridges.pop(bridge, None)
        if bridge and kind in ("BridgeCreate", "BridgeEnter", "BridgeLeave"):
            self._bridges[bridge] = {key: value for key, value in event.items() if key.startswith("Bridge")}
        if (channel := self._channels.get(uniqueid)) is None:
            return
        channel.update({key: event[key] for key in _CHANNEL_SNAPSHOT if key in event})
        if kind == "Rename":
            channel["Channel"] = event["Newname"]
        elif kind in ("BridgeEnter", "BridgeLeave"):
            channel["BridgeId"] = bridge if kind == "BridgeEnter" else ""

    def clear(self) -> None:
        """All have gone: the process died."""
        self._channels.clear()
        self._bridges.clear()

    def channels(self) -> list[dict[str, str]]:
        """An entry for each channel."""
        return [
            {**channel, "Application": "", "ApplicationData": "", "Duration": self._duration(uniqueid)}
            for uniqueid, channel in self._channels.items()
        ]

    def bridges(self) -> list[dict[str, str]]:
        """An entry for each bridge."""
        return list(self._bridges.values())

    def _duration(self, uniqueid: str) -> str:
        seconds = int(self._now - self._began[uniqueid])
        return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
