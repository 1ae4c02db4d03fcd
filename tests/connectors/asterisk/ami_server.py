"""A manager interface on a real socket of this machine: logs in, answers, and plays captures of a live one.

Unlike Asterisk it has no channels but those of what it plays, and breaks off when it is told to.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from hashlib import md5
from typing import Final

from tests.connectors.asterisk.captures import Message, messages
from tests.connectors.asterisk.channel_list import ChannelList
from tests.fakes import turn

USERNAME: Final = "hookline"
SECRET: Final = "a-secret"
_CHALLENGE: Final = "840415273"
#: Action -> (event of one entry, event of the end)
_LISTS: Final[Mapping[str, tuple[str, str]]] = {
    "CoreShowChannels": ("CoreShowChannel", "CoreShowChannelsComplete"),
    "BridgeList": ("BridgeListItem", "BridgeListComplete"),
    "PJSIPShowEndpoints": ("EndpointList", "EndpointListComplete"),
    "PJSIPShowEndpoint": ("EndpointDetail", "EndpointDetailComplete"),
    "SIPpeers": ("PeerEntry", "PeerlistComplete"),
    "ShowDialPlan": ("ListDialplan", "ShowDialPlanComplete"),
    "IAXpeerlist": ("PeerEntry", "PeerlistComplete"),
    "DAHDIShowChannels": ("DAHDIShowChannels", "DAHDIShowChannelsComplete"),
}
#: Lists of drivers that are loaded where they have entries.
_OPTIONAL: Final = ("SIPpeers", "IAXpeerlist", "DAHDIShowChannels")


def written(*pairs: tuple[str, str]) -> bytes:
    """A message, as it is sent."""
    return "".join(f"{key}: {value}\r\n" for key, value in pairs).encode() + b"\r\n"


def events_of(stream: bytes) -> list[bytes]:
    """The events of a capture but for the first, which greets who logs in."""
    blocks = [block + b"\r\n\r\n" for block in stream.split(b"\r\n\r\n") if block.startswith(b"Event: ")]
    return [block for block in blocks if not block.startswith(b"Event: FullyBooted")]


class AmiServer:
    """One Asterisk, as its managers see it."""

    def __init__(self) -> None:
        self.port = 0
        self.secret = SECRET
        self.banner = b"Asterisk Call Manager/11.0.0\r\n"
        self.uptime = 86400
        self.reads_system = True  # whether the account hears that Asterisk has booted
        self.denied: set[str] = set()  # actions that the account may not do
        self.deaf: set[str] = set()  # actions that are not answered
        self.entries: dict[str, Sequence[Mapping[str, str]]] = {}  # of lists
        self.section: Sequence[str] = ()  # lines of the account in manager.conf
        self.peers: Mapping[str, str] = {}  # of chan_sip: name -> context
        self.presentation = "allowed_not_screened"  # of each caller's number
        self.heard: list[Message] = []  # actions, over all connections
        self.visits = 0
        self._there = ChannelList()
        self._in: set[asyncio.StreamWriter] = set()  # those who have logged in
        self._news = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def running(cls, *, tls: ssl.SSLContext | None = None, port: int = 0) -> AsyncIterator["AmiServer"]:
        """Listen on a free port until the block ends."""
        ami = cls()
        open_: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

        def visited(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(ami._serve(reader, writer))
            open_[task] = writer
            task.add_done_callback(open_.pop)

        server = await asyncio.start_server(visited, "127.0.0.1", port, ssl=tls)
        ami.port = server.sockets[0].getsockname()[1]
        try:
            yield ami
        finally:
            server.close()
            await turn(times=5)
            left = tuple(open_.items())
            for task, writer in left:
                task.cancel()
                writer.transport.abort()
            await asyncio.gather(*(task for task, _ in left), return_exceptions=True)

    @property
    def is_listened_to(self) -> bool:
        """Whether somebody has logged in and is there."""
        return bool(self._in)

    def names(self) -> list[str]:
        """The actions that were asked for, in order."""
        return [action.get("Action") for action in self.heard]

    async def asked(self, name: str, *, times: int = 1) -> None:
        """Return when an action has been asked for so many times."""
        while self.names().count(name) < times:
            self._news.clear()
            await self._news.wait()

    async def listened_to(self, *, by: int = 1) -> None:
        """Return when so many have logged in and are there."""
        while len(self._in) < by:
            self._news.clear()
            await self._news.wait()

    async def play(self, events: Iterable[bytes], *, size: int = 65536, told: bool = True) -> None:
        """Let these happen, and tell of them in pieces of this size to whoever is there."""
        stream = b""
        for event in events:
            self._happen(event)
            stream += event
        for start in range(0, len(stream) if told else 0, size):
            for writer in tuple(self._in):
                writer.write(stream[start : start + size])
                await writer.drain()
            await turn()

    async def play_at_its_pace(self, events: Iterable[bytes]) -> None:
        """Let these happen when they did, counted from the first."""
        began, first = asyncio.get_running_loop().time(), 0.0
        for event in events:
            [message] = [each for each in messages(event) if each]
            stamp = float(message.get("Timestamp") or 0)
            first = first or stamp
            wait = began + stamp - first - asyncio.get_running_loop().time()
            if stamp and wait > 0:
                await asyncio.wait({asyncio.get_running_loop().create_future()}, timeout=wait)
            await self.play([event])

    def cut(self) -> None:
        """Break all connections."""
        for writer in self._in:
            writer.transport.abort()
        self._in.clear()

    def die(self) -> None:
        """Break all connections, and all calls with them: none is told. As when the process is killed."""
        self._there.clear()
        self.uptime = 0
        self.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.visits += 1
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                writer.write(self.banner)
                while True:
                    [action] = messages((await reader.readuntil(b"\r\n\r\n"))[:-4])
                    self.heard.append(action)
                    self._answer(action, writer)
                    self._news.set()
        finally:
            self._in.discard(writer)
            writer.close()

    def _answer(self, action: Message, writer: asyncio.StreamWriter) -> None:
        name = action.get("Action")
        if name in self.deaf:
            return
        if name == "Challenge":
            self._say(writer, action, "Success", Challenge=_CHALLENGE)
        elif name == "Login":
            self._log_in(action, writer)
        elif writer not in self._in or name in self.denied:
            self._say(writer, action, "Error", Message="Permission denied")
        elif name in _LISTS and not (name in _OPTIONAL and name not in self.entries):
            self._list(action, writer)
        elif name == "Ping":
            self._say(writer, action, "Success", Ping="Pong", Timestamp="1795425040.000000")
        elif name == "Getvar":
            self._say(writer, action, "Success", Variable=action.get("Variable"), Value=self.presentation)
        elif name == "CoreSettings":
            self._say(writer, action, "Success", AMIversion="11.0.0", AsteriskVersion="22.10.1")
        elif name == "Logoff":
            self._say(writer, action, "Goodbye", Message="Thanks for all the fish.")
        else:
            self._describe(action, writer)

    def _describe(self, action: Message, writer: asyncio.StreamWriter) -> None:
        """Tell of the configuration, if there is any."""
        name, peer = action.get("Action"), action.get("Peer")
        if name == "SIPshowpeer" and peer in self.peers:
            self._say(writer, action, "Success", Channeltype="SIP", Context=self.peers[peer])
        elif name == "GetConfig" and self.section:
            lines = {f"Line-000000-{number:06}": line for number, line in enumerate(self.section)}
            self._say(writer, action, "Success", **{"Category-000000": USERNAME}, **lines)
        else:
            self._say(writer, action, "Error", Message="Invalid/unknown command")

    def _log_in(self, action: Message, writer: asyncio.StreamWriter) -> None:
        key = md5((_CHALLENGE + self.secret).encode(), usedforsecurity=False).hexdigest()
        shown, right = ("Key", key) if action.get("AuthType") == "MD5" else ("Secret", self.secret)
        if action.get("Username") != USERNAME or action.get(shown) != right:
            self._say(writer, action, "Error", Message="Authentication failed")
            return
        self._in.add(writer)
        self._say(writer, action, "Success", Message="Authentication accepted")
        if self.reads_system:
            up = str(self.uptime)
            writer.write(written(("Event", "FullyBooted"), ("Privilege", "system,all"), ("Uptime", up)))

    def _list(self, action: Message, writer: asyncio.StreamWriter) -> None:
        name, id_ = action.get("Action"), ("ActionID", action.get("ActionID"))
        entry, complete = _LISTS[name]
        asked = {"CoreShowChannels": self._there.channels, "BridgeList": self._there.bridges}.get(name)
        entries = self.entries.get(name, ()) if asked is None else asked()
        self._say(writer, action, "Success", EventList="start")
        for each in entries:
            writer.write(written(("Event", entry), id_, *each.items()))
        writer.write(written(("Event", complete), id_, ("EventList", "Complete"), ("ListItems", str(len(entries)))))

    def _say(self, writer: asyncio.StreamWriter, action: Message, response: str, **more: str) -> None:
        id_ = [("ActionID", action.get("ActionID"))] if action.get("ActionID") else []
        writer.write(written(("Response", response), *id_, *more.items()))

    def _happen(self, event: bytes) -> None:
        """Keep account of which channels there are."""
        [message] = [each for each in messages(event) if each]
        self._there.hear(message)
