"""The audit notices what it is for, on lock files, environments and reports of pip-audit that the test makes up."""

from collections.abc import Sequence
from email.message import Message
from importlib.metadata import PackageMetadata, PathDistribution
from pathlib import Path
from typing import Any, Final, cast

import pytest
from packaging.requirements import Requirement

from tests.audit.__main__ import ROOT, Result, of_consistency, of_hashes, of_licences, of_vulnerabilities
from tests.audit.images import unpinned
from tests.audit.licences import ALLOWED, LOOKED_UP, is_allowed, licence_of, objections
from tests.audit.locks import LOCKS, disagreements, inconsistencies, read_lock, wanted
from tests.audit.vulnerabilities import KNOWN_BAD
from tests.docs import pages

HASH: Final = "--hash=sha256:" + "0" * 64
GOOD: Final = f"one==1.0 \\\n    {HASH}\ntwo==2.0 ; python_version >= '3' \\\n    {HASH} \\\n    {HASH}\n"
#: Those that `make test` has, too. The environments of the bench and of the audit are made by `make audit`.
HERE: Final = tuple(lock for lock in LOCKS if lock.environment.startswith(".venv/") or lock.environment == ".venv")


# The project itself


def test_every_requirement_of_every_lock_file_has_one_version_and_its_hashes() -> None:
    assert list(of_hashes(ROOT)) == []


def test_lock_files_are_what_pyproject_asks_for() -> None:
    assert list(of_consistency(ROOT, HERE)) == []


def test_every_licence_is_allowed() -> None:
    assert list(of_licences(ROOT, HERE)) == []


def test_every_image_of_others_is_named_by_its_digest() -> None:
    assert list(unpinned(ROOT / "deploy")) == []


def test_the_tools_of_the_audit_are_no_dependency_of_anything_else() -> None:
    for lock in LOCKS:
        pins, _ = read_lock((ROOT / "locks" / lock.name).read_text("utf-8"))
        assert ("pip-audit" in {pin.name for pin in pins}) == (lock.name == "audit.txt")


def test_the_page_has_the_licences_that_are_allowed_and_no_other() -> None:
    rows = pages.table(pages.page("explanation/dependencies.md"), "licence", "why")
    assert {pages.plain(row[0]): row[1] for row in rows} == ALLOWED
    for name in LOOKED_UP:
        assert f"`{name}`" in pages.page("explanation/dependencies.md")


def test_the_page_says_what_each_exit_code_means() -> None:
    rows = pages.table(pages.page("explanation/dependencies.md"), "exit code", "means")
    assert [int(pages.plain(row[0])) for row in rows] == sorted(Result)


# Lock files


def test_a_lock_file_is_read_with_its_markers_and_hashes() -> None:
    pins, problems = read_lock("# made by hand\n" + GOOD)
    assert [(pin.name, pin.version, pin.hashes) for pin in pins] == [("one", "1.0", 1), ("two", "2.0", 2)]
    assert problems == []


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("one==1.0", "one has no hash"),
        ("one==1.0 --hash=md5:0000", "one has no hash"),
        (f"one>=1.0 {HASH}", "one is not pinned to one version"),
        (f"one==1.* {HASH}", "one is not pinned to one version"),
        (f"one {HASH}", "one is not pinned to one version"),
        ("--find-links https://packages.example", "'--find-links https://packages.example' is no requirement"),
    ],
)
def test_a_line_without_version_or_hash_is_noticed(line: str, sentence: str) -> None:
    _, problems = read_lock(f"{GOOD}{line}\n")
    assert problems == [sentence]


def installed(folder: Path, **needs: Sequence[str]) -> dict[str, PathDistribution]:
    """An environment in which each of these packages is installed in version 1.0, with what it requires."""
    found = {}
    for name, requirements in needs.items():
        place = folder / f"{name}-1.0.dist-info"
        place.mkdir()
        lines = [f"Name: {name}", "Version: 1.0", *(f"Requires-Dist: {each}" for each in requirements)]
        (place / "METADATA").write_text("Metadata-Version: 2.1\n" + "\n".join(lines) + "\n", "utf-8")
        found[name] = PathDistribution(place)
    return found


def locked(*names: str, version: str = "1.0") -> Any:
    return read_lock("".join(f"{name}=={version} {HASH}\n" for name in names))[0]


@pytest.mark.parametrize(
    ("asked", "pins", "needs", "sentence"),
    [
        ("one>=2", ("one",), {"one": ()}, "one>=2 is asked for and 1.0 is locked"),
        ("one", (), {}, "one is asked for and not locked"),
        ("one", ("one",), {"one": ("two>=1",)}, "two>=1 is asked for and not locked"),
        ("one", ("one", "two"), {"one": ("two<1",), "two": ()}, "two<1 is asked for and 1.0 is locked"),
        ("one", ("one", "two"), {"one": (), "two": ()}, "two is locked and nobody asks for it"),
        ("one", ("one", "two"), {"one": ("two; extra == 'more'",), "two": ()}, "two is locked and nobody asks for it"),
        ("one[more]", ("one",), {"one": ("two; extra == 'more'",)}, "two; extra == 'more' is asked for and not locked"),
        ("one", ("one",), {}, "one 1.0 is not installed: make the environment again"),
    ],
)
def test_a_lock_file_that_is_not_what_is_asked_for_is_noticed(
    tmp_path: Path, asked: str, pins: Sequence[str], needs: dict[str, Sequence[str]], sentence: str
) -> None:
    told = list(inconsistencies([Requirement(asked)], locked(*pins), installed(tmp_path, **needs)))
    assert [each.replace('"', "'") for each in told] == [sentence]


def test_what_is_asked_for_on_another_platform_is_not_missed(tmp_path: Path) -> None:
    needs = {"one": ("two; sys_platform == 'elsewhere'", "three; extra == 'more'")}
    assert list(inconsistencies([Requirement("one")], locked("one"), installed(tmp_path, **needs))) == []


def test_what_is_installed_in_another_version_is_noticed(tmp_path: Path) -> None:
    told = list(inconsistencies([Requirement("one")], locked("one", version="1.1"), installed(tmp_path, one=())))
    assert told == ["one 1.1 is locked and 1.0 is installed: make the environment again"]


def test_two_versions_of_one_package_are_noticed() -> None:
    locks = {"image.txt": locked("one"), "dev.txt": locked("one", version="1.1")}
    assert list(disagreements(locks)) == ["one has several versions: 1.1 in dev.txt, 1.0 in image.txt"]


def test_groups_include_groups() -> None:
    [dev] = [lock for lock in LOCKS if lock.name == "dev.txt"]
    assert {"msgspec", "hatchling", "pytest"} <= {requirement.name for requirement in wanted(dev, ROOT)}


# Licences


def metadata(**fields: str) -> PackageMetadata:
    message = Message()
    for name, value in fields.items():
        message[name.replace("_", "-")] = value
    return cast("PackageMetadata", message)


@pytest.mark.parametrize(
    ("said", "licence"),
    [
        (metadata(License_Expression="Apache-2.0 OR BSD-3-Clause"), "Apache-2.0 OR BSD-3-Clause"),
        (metadata(License_Expression="MIT", License="GPL"), "MIT"),
        (metadata(Classifier="License :: OSI Approved :: MIT License"), "MIT"),
        (metadata(License="Apache License, Version 2.0"), "Apache-2.0"),
        (metadata(License="MIT OR Apache-2.0"), "MIT OR Apache-2.0"),
        (metadata(License="Do what you like"), ""),
        (metadata(Classifier="License :: OSI Approved :: GNU General Public License v3 (GPLv3)"), ""),
        (metadata(), ""),
    ],
)
def test_a_licence_is_read_from_what_a_wheel_says(said: PackageMetadata, licence: str) -> None:
    assert licence_of("one", said) == licence
    assert (list(objections("one", said)) == []) == bool(licence)


@pytest.mark.parametrize(
    ("expression", "allowed"),
    [
        ("MIT", True),
        ("MIT AND Apache-2.0", True),
        ("GPL-3.0-only OR MIT", True),
        ("GPL-3.0-only AND MIT", False),
        ("(GPL-3.0-only OR MIT) AND ISC", True),
        ("GPL-3.0-only OR (MIT AND AGPL-3.0-only)", False),
        ("GPL-2.0-only WITH Classpath-exception-2.0", False),
        ("MIT WITH Some-exception", False),
        ("AGPL-3.0-or-later", False),
        ("(MIT", False),
        ("", False),
    ],
)
def test_an_expression_is_allowed_when_it_can_be_kept(expression: str, allowed: bool) -> None:
    assert is_allowed(expression) is allowed


# Images


def test_an_image_that_is_named_by_its_tag_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("ARG PYTHON_IMAGE=python:3.11-slim\nFROM ${PYTHON_IMAGE}\nFROM debian:12\n")
    (tmp_path / "compose.yaml").write_text("x:\n  image: hookline\ny:\n  image: postgres@sha256:" + "0" * 64 + "\n")
    told = list(unpinned(tmp_path))
    assert [sentence.partition(" is not")[0] for sentence in told] == [
        "deploy/Dockerfile: python:3.11-slim",
        "deploy/Dockerfile: debian:12",
    ]
    assert "docker buildx imagetools inspect python:3.11-slim" in told[0]


# Known vulnerabilities

BAD: Final = {"name": "jinja2", "version": "2.10", "vulns": [{"id": "PYSEC-2019-217", "fix_versions": ["2.10.1"]}]}
FINE: Final = {"name": "one", "version": "1.0", "vulns": []}
SKIPPED: Final = {"name": "one", "skip_reason": "Dependency not found on PyPI and could not be audited: one (1.0)"}


class Database:
    """Stands in for pip-audit: what it reports of the release that is known to be bad, and of lock files."""

    def __init__(self, of_known_bad: dict[str, Any] | str, of_locks: dict[str, Any] | str) -> None:
        self._of_known_bad = of_known_bad
        self._of_locks = of_locks
        self.asked: list[str] = []

    def __call__(self, arguments: Sequence[str]) -> dict[str, Any] | str:
        *_, file = arguments
        text = Path(file).read_text("utf-8")
        self.asked.append(Path(file).name)
        report = self._of_known_bad if text.strip() == KNOWN_BAD else self._of_locks
        return report if isinstance(report, str) else {"dependencies": [report]}


@pytest.mark.parametrize(
    ("database", "result", "sentence"),
    [
        (Database(BAD, FINE), Result.FINE, "known vulnerabilities: fine"),
        (Database(BAD, {**BAD, "name": "one"}), Result.WRONG, "  one 2.10: PYSEC-2019-217; mended in 2.10.1"),
        (Database(BAD, SKIPPED), Result.NOT_ASKED, f"  NOT LOOKED FOR: one ({SKIPPED['skip_reason']})"),
        (Database(BAD, "no route to host"), Result.NOT_ASKED, "  NOT LOOKED FOR: image.txt (no route to host)"),
        (Database(SKIPPED, FINE), Result.NOT_ASKED, "the database (pypi) cannot be asked: one (Dependency not found"),
        (Database("no route to host", FINE), Result.NOT_ASKED, "cannot be asked: no route to host"),
        (Database({**BAD, "vulns": []}, FINE), Result.NOT_ASKED, "it knows nothing of jinja2==2.10"),
    ],
)
def test_nothing_is_called_fine_that_the_database_was_not_asked_about(
    database: Database, result: Result, sentence: str
) -> None:
    said: list[str] = []
    assert of_vulnerabilities(ROOT, database, "pypi", said.append) is result
    assert any(sentence in line for line in said), said
    assert result is Result.FINE or "known vulnerabilities: fine" not in said or "NOT LOOKED FOR" in "\n".join(said)


def test_the_database_is_asked_about_every_lock_file() -> None:
    database = Database(BAD, FINE)
    of_vulnerabilities(ROOT, database, "osv", lambda _: None)
    assert database.asked == ["known-bad.txt", *(lock.name for lock in LOCKS)]
