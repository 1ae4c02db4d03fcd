"""Known vulnerabilities of everything that is locked, as pip-audit tells them.

pip-audit says "no known vulnerabilities" also of packages that it could not look up. So its answer counts only for what
it looked up, and only when the database knows the vulnerabilities of a release that is known to have some.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

#: A release with vulnerabilities that every database has: PYSEC-2019-217 (CVE-2019-10906) and later ones.
KNOWN_BAD: Final = "jinja2==2.10"
#: Real seconds for all requests of one lock file.
_PATIENCE_SECONDS: Final = 600

#: Runs pip-audit with these arguments. Returns its report, or why there is none.
Run = Callable[[Sequence[str]], "dict[str, Any] | str"]


@dataclass(slots=True)
class Answer:
    """What the database said of one lock file."""

    vulnerable: list[str] = field(default_factory=list)  # a sentence each
    unanswered: list[str] = field(default_factory=list)  # names of packages that it was not asked about, and why


def run_pip_audit(arguments: Sequence[str]) -> "dict[str, Any] | str":
    """pip-audit of this environment."""
    command = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off", "--disable-pip"]
    try:
        done = subprocess.run(
            [*command, *arguments], capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {_PATIENCE_SECONDS} s"
    try:
        report: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        return (done.stderr.strip().splitlines() or ["no report, and no reason"])[-1]
    return report


def read_report(report: dict[str, Any]) -> Answer:
    """What a report says of each package."""
    answer = Answer()
    for package in report["dependencies"]:
        if "skip_reason" in package:
            answer.unanswered.append(f"{package['name']} ({package['skip_reason']})")
        for found in package.get("vulns", []):
            fixed = ", ".join(found.get("fix_versions", [])) or "no version yet"
            answer.vulnerable.append(f"{package['name']} {package['version']}: {found['id']}; mended in {fixed}")
    return answer


def reason_not_to_trust(run: Run, service: str) -> str | None:
    """Why the database cannot be asked, or None: it tells the vulnerabilities of a release that has some."""
    with tempfile.TemporaryDirectory() as folder:
        asked = Path(folder, "known-bad.txt")
        asked.write_text(KNOWN_BAD + "\n", "utf-8")
        report = run(["--vulnerability-service", service, "--no-deps", "--requirement", str(asked)])
    if isinstance(report, str):
        return report
    answer = read_report(report)
    if answer.vulnerable:
        return None
    return answer.unanswered[0] if answer.unanswered else f"it knows nothing of {KNOWN_BAD}, which has vulnerabilities"


def ask(run: Run, service: str, lock: Path) -> Answer:
    """What the database says of a lock file."""
    report = run(["--vulnerability-service", service, "--require-hashes", "--requirement", str(lock)])
    return Answer(unanswered=[f"{lock.name} ({report})"]) if isinstance(report, str) else read_report(report)


def told(answers: Sequence[Answer]) -> Iterator[str]:
    """Each vulnerability once."""
    yield from dict.fromkeys(sentence for answer in answers for sentence in answer.vulnerable)
