"""Bridges with more than two: who is in which one, and whether it is recorded as a whole.

ConfBridge: https://docs.asterisk.org/Latest_API/API_Documentation/AMI_Events/ConfbridgeRecord/. MeetMe has numbers of
rooms, which come again; a meeting is what happens in one between two times that it is empty.
"""

from collections.abc import Set as AbstractSet


class Conferences:
    """What is known of bridges until they end."""

    def __init__(self) -> None:
        self._inside: dict[str, set[str]] = {}  # bridge -> legs
        self._recorded: set[str] = set()  # bridges
        self._meetings: dict[str, str] = {}  # number of a MeetMe room -> what the meeting in it is called

    def joins(self, bridge: str, leg: str) -> bool:
        """A leg came in. Returns whether it is recorded from now on."""
        self._inside.setdefault(bridge, set()).add(leg)
        return bridge in self._recorded

    def leaves(self, bridge: str, leg: str) -> bool:
        """A leg left. Returns whether it was recorded as long as it was inside."""
        inside = self._inside.get(bridge, set())
        inside.discard(leg)
        if not inside:
            self._inside.pop(bridge, None)
        return bridge in self._recorded

    def record(self, bridge: str) -> AbstractSet[str]:
        """The whole is recorded from now on. Returns who is in it."""
        self._recorded.add(bridge)
        return self._inside.get(bridge, set())

    def stop_recording(self, bridge: str) -> AbstractSet[str]:
        """The whole is recorded no longer. Returns who is in it."""
        self._recorded.discard(bridge)
        return self._inside.get(bridge, set())

    def end(self, bridge: str) -> None:
        """A bridge is no more."""
        self._inside.pop(bridge, None)
        self._recorded.discard(bridge)

    def meeting(self, room: str, leg: str) -> str:
        """The name of the meeting in a MeetMe room, which begins with this leg if there is none."""
        return self._meetings.setdefault(room, f"meetme {room} {leg}")

    def end_meeting(self, room: str) -> None:
        """The last one left a MeetMe room."""
        self.end(self._meetings.pop(room, ""))
