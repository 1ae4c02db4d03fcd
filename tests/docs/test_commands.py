"""What the README and the tutorial tell to type is typed, and what they say one sees is seen."""

from pathlib import Path

import pytest

from tests.docs import pages
from tests.docs.terminals import follow

README = pages.ROOT / "README.md"


@pytest.mark.slow
def test_the_tutorial_goes_as_it_says(tmp_path: Path) -> None:
    follow(pages.page("tutorial/first-webhook.md"), tmp_path)
