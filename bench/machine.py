"""The machine that a measurement was made on, in words."""

import os
import platform
import sqlite3
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Final

from bench import processes

_TOLD: Final = ("hookline", "uvloop", "httptools", "starlette", "uvicorn", "celery", "requests", "taskiq", "aiohttp")


def description() -> dict[str, str]:
    """What a reader needs to set the figures beside those of another machine."""
    versions = [f"{name} {version(name)}" for name in _TOLD]
    if processes.redis_is_installed():
        versions.append(f"Redis {_redis_version()}")
    return {
        "Processor": f"{_from_proc('cpuinfo', 'model name')}, {os.cpu_count()} cores",
        "Memory": f"{int(_from_proc('meminfo', 'MemTotal').split()[0]) / 1024 / 1024:.0f} GiB",
        "System": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}, SQLite {sqlite3.sqlite_version}",
        "Versions": ", ".join(versions),
    }


def _from_proc(file: str, name: str) -> str:
    for line in Path("/proc", file).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown"


def _redis_version() -> str:
    words = subprocess.run(["redis-server", "--version"], capture_output=True, text=True, check=True).stdout.split()
    return next(word.removeprefix("v=") for word in words if word.startswith("v="))
