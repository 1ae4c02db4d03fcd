"""Lock files: every requirement has one version and its hashes, and together they are what pyproject.toml asks for.

A lock file is the output of `uv pip compile --generate-hashes`: one requirement, pinned, with an optional marker, and
the hashes of its files on the lines below. What its packages ask for in turn is read from the environment that was
installed from it, so that nothing has to be resolved and no network is needed.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any, Final

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

_HASH: Final = re.compile(r"--hash=sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock file: what it is made for, and which environment is installed from it."""

    name: str
    groups: tuple[str, ...] = ()  # of pyproject.toml
    with_product: bool = True  # also what Hookline itself depends on
    environment: str = ".venv"

    def site_packages(self, root: Path) -> Path | None:
        """Where its packages are installed, or None while they are not."""
        environment = root / self.environment
        if self.environment.endswith("brevo-sdk-1"):  # a folder on its own, beside the other version of the same SDK
            return environment if environment.is_dir() else None
        return next(iter(environment.glob("lib/python3*/site-packages")), None)


LOCKS: Final = (
    Lock("image.txt"),
    Lock("run.txt", groups=("build",)),
    Lock("dev.txt", groups=("dev",)),
    Lock("bench.txt", groups=("bench", "build"), environment=".venv-bench"),
    Lock("audit.txt", groups=("audit",), with_product=False, environment=".venv-audit"),
    Lock("brevo-sdk-1.txt", with_product=False, environment=".venv/brevo-sdk-1"),
)


@dataclass(frozen=True, slots=True)
class Pin:
    """One requirement of a lock file."""

    name: str  # canonical
    version: str
    requirement: Requirement
    hashes: int

    @property
    def is_for_this_machine(self) -> bool:
        """Whether its marker holds for this Python on this platform."""
        return self.requirement.marker is None or self.requirement.marker.evaluate()


def read_lock(text: str) -> tuple[list[Pin], list[str]]:
    """The requirements of a lock file, and a sentence for each line that is not pinned or has no hash."""
    pins: list[Pin] = []
    problems: list[str] = []
    for entry in re.sub(r"(?m)^\s*#.*\n?", "", text).replace("\\\n", " ").splitlines():
        if not entry.strip():
            continue
        try:
            requirement = Requirement(entry.partition("--hash")[0].strip())
        except InvalidRequirement:
            problems.append(f"{entry.strip()[:60]!r} is no requirement")
            continue
        version = re.fullmatch(r"==([^*]+)", str(requirement.specifier))
        if version is None:
            problems.append(f"{requirement.name} is not pinned to one version")
            continue
        pin = Pin(canonicalize_name(requirement.name), version[1], requirement, len(_HASH.findall(entry)))
        if not pin.hashes:
            problems.append(f"{pin.name} has no hash")
        pins.append(pin)
    return pins, problems


def installed(site_packages: Path) -> dict[str, Distribution]:
    """What is installed there, by canonical name."""
    return {canonicalize_name(each.metadata["Name"]): each for each in distributions(path=[str(site_packages)])}


def wanted(lock: Lock, root: Path) -> list[Requirement]:
    """What this lock file is made from: dependencies and groups of pyproject.toml, or a file of its own (`.in`)."""
    own = root / "locks" / lock.name.replace(".txt", ".in")
    if own.exists():
        return [Requirement(line) for line in own.read_text("utf-8").splitlines() if line.strip()]
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))
    product = project["project"]["dependencies"] if lock.with_product else []
    lines = [*product, *(line for group in lock.groups for line in _of_group(project["dependency-groups"], group))]
    return [Requirement(line) for line in lines]


def _of_group(groups: Mapping[str, Sequence[Any]], name: str) -> Iterator[str]:
    """The requirements of a group and of those that it includes (PEP 735)."""
    for line in groups[name]:
        if isinstance(line, dict):
            yield from _of_group(groups, line["include-group"])
        else:
            yield line


def inconsistencies(
    roots: Sequence[Requirement], pins: Sequence[Pin], found: Mapping[str, Distribution]
) -> Iterator[str]:
    """How a lock file differs from what its roots, and what they need in turn, ask for on this machine."""
    here = {pin.name: pin for pin in pins if pin.is_for_this_machine}
    for name, pin in here.items():
        if name not in found:
            yield f"{name} {pin.version} is not installed: make the environment again"
        elif found[name].version != pin.version:
            yield f"{name} {pin.version} is locked and {found[name].version} is installed: make the environment again"
    reached: set[str] = set()
    seen: set[tuple[str, str]] = set()
    waiting = [(root, "") for root in roots]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        locked = here.get(name)
        if locked is None:
            yield f"{requirement} is asked for and not locked"
            continue
        if not requirement.specifier.contains(locked.version, prereleases=True):
            yield f"{requirement} is asked for and {locked.version} is locked"
        reached.add(name)
        for wanted_extra in {"", *requirement.extras}:
            if name in found and (name, wanted_extra) not in seen:
                seen.add((name, wanted_extra))
                waiting += [(Requirement(line), wanted_extra) for line in found[name].requires or []]
    yield from (f"{name} is locked and nobody asks for it" for name in sorted(here.keys() - reached))


def disagreements(locks: Mapping[str, Sequence[Pin]]) -> Iterator[str]:
    """Packages that two lock files of the product have in two versions: what is tested must be what is shipped."""
    versions: dict[tuple[str, str], dict[str, str]] = {}
    for lock, pins in locks.items():
        for pin in pins:
            versions.setdefault((pin.name, str(pin.requirement.marker or "")), {})[lock] = pin.version
    for (name, _), by_lock in sorted(versions.items()):
        if len(set(by_lock.values())) > 1:
            told = ", ".join(f"{version} in {lock}" for lock, version in sorted(by_lock.items()))
            yield f"{name} has several versions: {told}"
