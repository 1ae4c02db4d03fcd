"""Looks through everything that is locked, and says what is wrong with it.

    python -m tests.audit [--service pypi|osv]

Exit codes: 0, all was looked at and nothing is wrong. 1, something is wrong. 3, nothing wrong was found, but known
vulnerabilities were not looked for, since no database could be asked.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Final

from tests.audit.images import unpinned
from tests.audit.licences import objections
from tests.audit.locks import LOCKS, Lock, disagreements, inconsistencies, installed, read_lock, wanted
from tests.audit.vulnerabilities import Run, ask, reason_not_to_trust, run_pip_audit, told

ROOT: Final = Path(__file__).parents[2]
#: Lock files that one set of versions goes through: what is tested is what is shipped.
_OF_PRODUCT: Final = ("image.txt", "run.txt", "dev.txt", "bench.txt")

Say = Callable[[str], None]


class Result(IntEnum):
    """What came of an audit; the exit code."""

    FINE = 0
    WRONG = 1
    NOT_ASKED = 3


def of_hashes(root: Path) -> Iterator[str]:
    """What is wrong with the lines of lock files, each by itself."""
    listed = {file.name for file in (root / "locks").glob("*.txt")}
    for name in sorted(listed ^ {lock.name for lock in LOCKS}):
        yield f"locks/{name}: it is a lock file or a name in tests/audit/locks.py, but not both"
    for name in sorted(listed):
        pins, problems = read_lock((root / "locks" / name).read_text("utf-8"))
        yield from (f"locks/{name}: {problem}" for problem in problems)
        if not pins:
            yield f"locks/{name}: nothing is locked in it"


def of_consistency(root: Path, locks: Sequence[Lock] = LOCKS) -> Iterator[str]:
    """How lock files differ from pyproject.toml, from what is installed, and from one another."""
    pins = {lock.name: read_lock((root / "locks" / lock.name).read_text("utf-8"))[0] for lock in locks}
    for lock in locks:
        place = lock.site_packages(root)
        if place is None:
            yield f"locks/{lock.name}: {lock.environment} is not there, so it cannot be looked at"
            continue
        for sentence in inconsistencies(wanted(lock, root), pins[lock.name], installed(place)):
            yield f"locks/{lock.name}: {sentence}"
    yield from disagreements({name: pins[name] for name in _OF_PRODUCT if name in pins})


def of_licences(root: Path, locks: Sequence[Lock] = LOCKS) -> Iterator[str]:
    """Packages whose licence is unknown or not allowed, of all that are installed on this platform."""
    found: dict[str, None] = {}
    for lock in locks:
        place = lock.site_packages(root)
        here = installed(place) if place else {}
        pins, _ = read_lock((root / "locks" / lock.name).read_text("utf-8"))
        for pin in pins:
            if pin.name in here:
                found |= dict.fromkeys(objections(pin.name, here[pin.name].metadata))
    yield from found


def of_vulnerabilities(root: Path, run: Run, service: str, say: Say) -> Result:
    """Ask the database about every lock file, and say what it knows."""
    reason = reason_not_to_trust(run, service)
    if reason is not None:
        say(f"known vulnerabilities: NOT LOOKED FOR: the database ({service}) cannot be asked: {reason}")
        return Result.NOT_ASKED
    answers = [ask(run, service, root / "locks" / lock.name) for lock in LOCKS]
    wrong, unanswered = list(told(answers)), [each for answer in answers for each in answer.unanswered]
    _tell("known vulnerabilities", wrong, say)
    for each in unanswered:
        say(f"  NOT LOOKED FOR: {each}")
    return Result.WRONG if wrong else Result.NOT_ASKED if unanswered else Result.FINE


def _tell(what: str, wrong: Sequence[str], say: Say) -> None:
    say(f"{what}: {'fine' if not wrong else f'{len(wrong)} wrong'}")
    for sentence in wrong:
        say(f"  {sentence}")


def audit(root: Path, run: Run, service: str, say: Say) -> Result:
    """All of it."""
    parts = {
        "hashes of lock files": list(of_hashes(root)),
        "lock files and pyproject.toml": list(of_consistency(root)),
        "licences": list(of_licences(root)),
        "images": list(unpinned(root / "deploy")),
    }
    for what, wrong in parts.items():
        _tell(what, wrong, say)
    of_database = of_vulnerabilities(root, run, service, say)
    return Result.WRONG if any(parts.values()) else of_database


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Look through everything that is locked.")
    parser.add_argument("--service", choices=["pypi", "osv"], default="pypi", help="whose database is asked")
    given = parser.parse_args()
    result = audit(ROOT, run_pip_audit, given.service, lambda line: print(line, flush=True))
    return int(result)


if __name__ == "__main__":
    sys.exit(main())
