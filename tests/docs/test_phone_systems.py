"""The table of what phone systems tell: every kind and every type is in it, and every test that it names exists."""

import random
import re
from pathlib import Path
from typing import Final

from hookline.bootstrap.connectors import connector_kinds
from hookline.domain.events import CallType
from tests.docs import pages
from tests.fakes import ManualClock

CONNECTORS: Final = Path(__file__).parents[1] / "connectors"
FIXTURES: Final = Path(__file__).parents[1] / "fixtures"
_TEST: Final = re.compile(r"`([\w/]+\.py)` `(test_\w+)(?:\[([^\]]+)\])?`")


def table() -> list[tuple[str, str, str]]:
    rows = pages.table(pages.page("explanation/what-phone-systems-tell.md"), "system", "type", "proved by, or why not")
    return [(system, pages.plain(type_), why) for system, type_, why in rows]


def test_every_kind_of_connector_has_every_type() -> None:
    kinds = connector_kinds(ManualClock(), random.Random(0))
    assert {(system.lower(), type_) for system, type_, _ in table()} == {
        (kind, type_.value) for kind in kinds for type_ in CallType
    }


def test_every_test_that_proves_one_exists() -> None:
    named = 0
    for system, type_, why in table():
        assert why, (system, type_)
        for file, name, case in _TEST.findall(why):
            named += 1
            text = (CONNECTORS / file).read_text("utf-8")
            assert re.search(rf"def {name}\(", text), (system, type_)
            cases = [path.stem for path in FIXTURES.glob(f"{system.lower()}*/*")]
            assert not case or f'"{case}"' in text or case in cases, (system, type_, case)
    assert named >= 50
