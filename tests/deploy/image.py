"""The image without Docker: what the Dockerfile says is done in a folder, and a node is started from what comes out.

`python -m tests.deploy.image` goes through the stage that builds, step by step, with real packages from the registry,
starts what came out with the image's settings, asks its health check, and stops it. What the last stage does to a
machine (its users) is not done to this one.
"""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).parents[2]
DOCKERFILE: Final = ROOT / "deploy" / "Dockerfile"
#: Where the image has things, and below which name the folder has them.
_PLACES: Final = {"/opt/hookline": "opt", "/build": "build", "/var/lib/hookline": "volume"}


@dataclass(frozen=True, slots=True)
class Step:
    """One instruction: `RUN`, and what stands behind it."""

    word: str
    rest: str


def steps() -> list[list[Step]]:
    """The instructions of each stage; what stands before the first stage is a stage too."""
    stages: list[list[Step]] = [[]]
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text("utf-8"), flags=re.MULTILINE).replace("\\\n", " ")
    for line in filter(None, map(str.strip, text.splitlines())):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            stages.append([])
        stages[-1].append(Step(word, " ".join(rest.split())))
    return stages


def environment() -> Mapping[str, str]:
    """What the image sets for whoever runs it."""
    [step] = [step for step in steps()[-1] if step.word == "ENV"]
    return dict(re.findall(r"(\w+)=(\S+)", step.rest))


def build(folder: Path) -> Path:
    """Do what the stage that builds does. Returns the command that comes out of it."""
    places = {there: folder / here for there, here in _PLACES.items()}
    for place in places.values():
        place.mkdir(parents=True)
    for step in steps()[1]:
        print(step.word, step.rest, flush=True)
        if step.word == "RUN":
            command = step.rest.replace("python -m venv", f"{shlex.quote(sys.executable)} -m venv")
            for there, here in places.items():
                command = re.sub(rf"(?<![\w/]){there}\b", str(here), command)
            subprocess.run(["sh", "-ec", command], cwd=places["/build"], check=True)
        elif step.word == "COPY":
            *sources, to = shlex.split(step.rest)
            _copy([ROOT / source for source in sources], places["/build"] / to, is_folder=to.endswith("/"))
    return places["/opt/hookline"] / "bin" / "hookline"


def _copy(sources: list[Path], to: Path, *, is_folder: bool) -> None:
    """As COPY does: of a folder its content, of a file the file."""
    for source in sources:
        if source.is_dir():
            shutil.copytree(source, to, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            to.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, to / source.name if is_folder else to)


def health_check(**settings: str) -> int:
    """Ask as the image asks. Returns the exit code."""
    [step] = [step for step in steps()[-1] if step.word == "HEALTHCHECK"]
    program, *arguments = json.loads(step.rest.partition("CMD ")[2])
    assert program == "python"
    return subprocess.run(
        [sys.executable, *arguments], env={**os.environ, **settings}, stderr=subprocess.DEVNULL, check=False
    ).returncode


def check(command: Path, folder: Path) -> None:
    """Start what was built, ask it how it is, and stop it."""
    volume = folder / "volume"
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{trial.getsockname()[1]}"
    settings = {**environment(), "HOOKLINE_DATABASE": f"sqlite:///{volume}/hookline.db", "HOOKLINE_LISTEN": listen}
    given: dict[str, Any] = {"cwd": volume, "env": settings, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([command, "serve"], **given) as node:
        assert node.stdout is not None
        for line in node.stdout:
            print(line, end="")
            if "listens on" in line:
                break
        print(f"Health check: exit code {health_check(HOOKLINE_LISTEN=listen)}")
        node.send_signal(signal.SIGTERM)
        print(node.stdout.read(), end="")
    print(f"Exit code {node.returncode}; health check: {health_check(HOOKLINE_LISTEN=listen)}")


def _size_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if not path.is_symlink()) / 1e6


def main() -> None:
    """Build, start, and say what came out."""
    with tempfile.TemporaryDirectory() as folder:
        command = build(Path(folder))
        programs = ", ".join(sorted(path.name for path in command.parent.iterdir()))
        print(f"{_size_mb(Path(folder) / 'opt'):.0f} MB beside Python itself; programs: {programs}")
        check(command, Path(folder))


if __name__ == "__main__":
    main()
