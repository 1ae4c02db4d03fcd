"""The file of a SQLite database: which file a path means, who may serve it, and whether all of it is there.

A path is resolved once, before anything is opened. SQLite names `-wal` and `-shm` after the path that it is given, so
two names of one file would be two logs of one database. A symbolic link is followed; a second hard link is refused.

Whether a log is missing cannot be seen from the file alone, so the file says whether a server has it open: in its
`application_id`, which SQLite keeps in the header. A server sets `IN_USE`, and `CLOSED` when it stops in order. A file
that is in use and has no log was copied without it, or lost it.
"""

import fcntl
import os
import sqlite3
import stat
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from hookline.errors import Unavailable

#: What the header says (https://sqlite.org/fileformat.html#application_id); 0 in files of versions that said nothing.
CLOSED: Final = int.from_bytes(b"hook", "big")
IN_USE: Final = int.from_bytes(b"hooK", "big")
APPLICATION_ID: Final = "PRAGMA application_id"
MARK: Final = "PRAGMA application_id = {mark}"
#: A byte of the file that SQLite never locks (it uses some after 2^30). No file is that long.
_SERVER_BYTE: Final = 1 << 62
#: `struct flock` of Linux on 64 bits, with its padding.
_FLOCK: Final = "@hhqqi0q"
_OPEN_FILE_LOCK: Final[int | None] = getattr(fcntl, "F_OFD_SETLK", None)
#: File systems on which locks or fsync are another machine's, as /proc/self/mountinfo calls them.
NETWORK_FILE_SYSTEMS: Final = frozenset(
    {"9p", "afs", "ceph", "cifs", "fuse.glusterfs", "fuse.s3fs", "fuse.sshfs", "lustre", "nfs", "nfs4", "smb3", "smbfs"}
)


def beside(database: Path, ending: str) -> Path:
    """The file of this ending beside the database: "-wal", "-shm" or ".lock"."""
    return database.with_name(database.name + ending)


def resolved(path: Path) -> Path:
    """The absolute path of the file itself, without any link. The file need not exist.

    Raises:
        Unavailable: it is no regular file, its links lead in a circle, or it has a second name.
    """
    found = Path(os.path.realpath(path))
    try:
        status = os.lstat(found)
    except FileNotFoundError:
        return found
    except OSError as problem:
        raise Unavailable(f"The database {found} cannot be used: {problem.strerror}.", hint=_LOOK) from None
    if stat.S_ISLNK(status.st_mode):
        raise Unavailable(f"The database {path} cannot be used: its links lead in a circle.", hint=_LOOK)
    if not stat.S_ISREG(status.st_mode):
        kind = "a directory" if stat.S_ISDIR(status.st_mode) else "no regular file"
        raise Unavailable(f"The database {found} cannot be used: it is {kind}.", hint=_LOOK)
    if status.st_nlink > 1:
        raise Unavailable(
            f"The database {found} has {status.st_nlink} names (hard links); SQLite would keep a log under each.",
            hint=f"Remove the others: `find / -xdev -samefile {found}` shows them. `hookline backup` makes copies.",
        )
    return found


_LOOK: Final = "Look at HOOKLINE_DATABASE."


def make_private(path: Path) -> None:
    """Make the file, for its owner only, unless it exists: it holds the secrets of webhooks.

    A file that exists is not even opened: to close it would give up every lock that this process holds on it
    (https://sqlite.org/howtocorrupt.html, 2.2).

    Raises:
        OSError: it cannot be made.
    """
    if not os.path.lexists(path):
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError:
            return


@contextmanager
def only_server(database: Path) -> Iterator[None]:
    """Be the one process that serves this file, by whatever path others reach it.

    Two locks: one on the file `.lock` beside it, which earlier versions know too, and one on the database itself, which
    holds when `.lock` was removed, or is another one under another path. No connection of this process to the database
    may outlive the block: see `make_private`.

    Raises:
        Unavailable: another process is, or the files cannot be made.
    """
    with ExitStack() as held:
        try:
            lock = held.enter_context(_opened(beside(database, ".lock")))
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            make_private(database)
            if _OPEN_FILE_LOCK is not None:
                mine = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, _SERVER_BYTE, 1, 0)
                fcntl.fcntl(held.enter_context(_opened(database)), _OPEN_FILE_LOCK, mine)
        except (BlockingIOError, PermissionError) as problem:
            if isinstance(problem, PermissionError) and problem.filename is not None:
                raise _unusable(database, problem) from None
            raise Unavailable(
                f"Another server delivers from {database} already.", hint="Stop it, or use another HOOKLINE_DATABASE."
            ) from None
        except OSError as problem:
            raise _unusable(database, problem) from None
        yield


def _unusable(database: Path, problem: OSError) -> Unavailable:
    return Unavailable(f"The database {database} cannot be used: {problem.strerror}.")


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    number = os.open(path, os.O_CREAT | os.O_RDWR, 0o600)
    try:
        yield number
    finally:
        os.close(number)


class Identity:
    """Which files a server has open, so that it notices when one of them is taken away under it."""

    def __init__(self, database: Path) -> None:
        """To be made while a connection is open that has read: then the log exists."""
        files = [beside(database, ending) for ending in ("", "-wal", "-shm")]
        self._files = [(file, _number_of(file)) for file in files]
        self._name = database.name

    def require(self) -> None:
        """
        Raises:
            Unavailable: a file was moved, removed or replaced. What is written now would be lost.
        """
        for path, number in self._files:
            if _number_of(path) != number:
                raise Unavailable(
                    f"The file {path.name} was moved, removed or replaced while the server has it open.",
                    hint=f"Put the file back, or stop the server and restore a backup of {self._name}.",
                )


def _number_of(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def has_log(database: Path) -> bool:
    """Whether there is a log with anything in it. To be asked before anything is opened: that makes an empty one."""
    try:
        return beside(database, "-wal").stat().st_size > 0
    except OSError:
        return False


def lacks_log(connection: sqlite3.Connection, *, had_log: bool) -> bool:
    """Whether a log belongs to the database that is not there. `had_log`: `has_log`, before the connection was made."""
    [(mark,)] = connection.execute(APPLICATION_ID)
    return bool(mark == IN_USE and not had_log)


def log_is_missing(database: Path) -> Unavailable:
    """What is told of a database that lacks its log."""
    return Unavailable(
        f"The database {database} was in use when it was last written, and its log {database.name}-wal is missing:"
        " what was accepted last is in the log.",
        hint=f"Put {database.name}-wal back beside it, or restore a backup. If there is no log any more,"
        " `hookline migrate --without-log` goes on without what was in it.",
    )


def network_file_system(path: Path) -> str:
    """The kind of network file system that holds the path, by the machine's table of mounts; "" for a local one."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text("utf-8", errors="replace").splitlines()
    except OSError:  # no Linux
        return ""
    best, kind = "", ""
    for mount in mounts:
        head, _, tail = mount.partition(" - ")
        point = head.split()[4].replace("\\040", " ")
        if len(point) >= len(best) and (path.is_relative_to(point)):
            best, kind = point, tail.split()[0]
    return kind if kind in NETWORK_FILE_SYSTEMS else ""
