"""What holds a PostgreSQL database for a copy, and what could not."""

import random
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from hookline.adapters.sql.postgres import PostgresStore, TimeLimits
from hookline.adapters.sql.postgres_place import PostgresPlace
from hookline.domain.keys import Scope
from hookline.errors import Unavailable
from hookline.services.keys import create_key, list_keys
from tests.fakes import ManualClock
from tests.postgres_server import postgres_server

#: The message in which a server tells its process id: a letter, the length, the id, a secret.
_KEY_DATA: Final = b"K" + struct.pack("!i", 12)


@pytest.fixture
def url() -> str:
    return postgres_server().new_database()


@contextmanager
def pooled(url: str, folder: Path) -> Iterator[str]:
    """The URL of a way there on which a process id is told that is not the server's, as poolers do."""
    told = conninfo_to_dict(url)
    server = f"{told['host']}/.s.PGSQL.5432"
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(folder / ".s.PGSQL.5432"))
        door.listen()
        threading.Thread(target=_let_pass, args=(door, server), daemon=True).start()
        yield f"postgresql:///{told['dbname']}?host={folder}&user=postgres"


def _let_pass(door: socket.socket, server: str) -> None:
    with suppress(OSError):  # the door is closed when the test ends
        while True:
            client, _ = door.accept()
            there = socket.socket(socket.AF_UNIX)
            there.connect(server)
            for source, target in ((client, there), (there, client)):
                threading.Thread(target=_carry, args=(source, target), daemon=True).start()


def _carry(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(65536):
            place = piece.find(_KEY_DATA)
            if place >= 0:
                piece = piece[: place + 5] + struct.pack("!i", 7) + piece[place + 9 :]
            target.sendall(piece)
        target.shutdown(socket.SHUT_RDWR)


def test_through_a_pooler_nothing_is_held_and_so_nothing_is_copied(
    url: str, tmp_path: Path, clock: ManualClock, dice: random.Random
) -> None:
    del clock
    with pooled(url, tmp_path) as through:
        place = PostgresPlace(through)
        with pytest.raises(Unavailable, match="A pooler stands between"), place.side(place.clock(), dice):
            pass


def test_while_it_is_held_nobody_else_writes_and_everybody_may_read(
    url: str, clock: ManualClock, dice: random.Random
) -> None:
    place = PostgresPlace(url)
    with (
        place.side(place.clock(), dice),
        closing(PostgresStore(url, clock, dice, limits=TimeLimits(lock_seconds=0.02))) as other,
    ):
        with pytest.raises(Unavailable):
            other.write(create_key, "one", Scope.READ)
        assert other.read(list_keys) == []


def test_who_is_connected_like_a_server_is_seen_whatever_it_is_called(url: str, dice: random.Random) -> None:
    named = PostgresPlace(f"{url}&application_name=ours")
    with psycopg.connect(url, application_name="psql"), named.side(named.clock(), dice) as side:
        side.require_alone()
    with (
        psycopg.connect(url, application_name="ours"),
        named.side(named.clock(), dice) as side,
        pytest.raises(Unavailable, match="Another process of Hookline uses"),
    ):
        side.require_alone()
