"""What the README and the tutorial tell to type is typed, and what they say one sees is seen."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs import pages
from tests.docs.terminals import as_pattern, follow

README = pages.ROOT / "README.md"


@pytest.mark.slow
def test_the_readme_goes_as_it_says_and_the_tutorial_after_it(tmp_path: Path) -> None:
    follow(README.read_text("utf-8") + pages.page("tutorial/first-webhook.md"), tmp_path)


@pytest.mark.slow
def test_the_demo_shows_what_the_readme_shows() -> None:
    demo = subprocess.run(
        [sys.executable, "-m", "hookline", "demo"],
        env={**os.environ, "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=True,
    )
    shown = [
        block.code for block in pages.blocks(README.read_text("utf-8")) if block.kind == "text" and not block.title
    ]
    assert shown
    for part in shown:
        assert re.search(as_pattern(part), demo.stdout), demo.stdout


@pytest.mark.slow
def test_the_tutorial_goes_as_it_says(tmp_path: Path) -> None:
    follow(pages.page("tutorial/first-webhook.md"), tmp_path)


SERVER = """
```sh title="server"
export HOOKLINE_API_KEY=a-key-of-the-tests HOOKLINE_ALLOW_NETWORKS=127.0.0.0/8
make serve
```

```text title="server"
listens on
```

```sh title="me"
export HOOKLINE_API_KEY=a-key-of-the-tests HOOKLINE=http://127.0.0.1:8000
```
"""


def commands(*pairs: tuple[str, str]) -> str:
    """What to type beside a server, and what must then appear."""
    return SERVER + "".join(
        f'\n```sh title="me"\n{typed}\n```\n\n```text title="me"\n{shown}\n```\n' for typed, shown in pairs
    )


def files_of(name: str) -> str:
    """The files that a page tells to write."""
    return "".join(
        f'\n```{block.kind} title="{block.title}"\n{block.code}```\n'
        for block in pages.blocks(pages.page(name))
        if block.title
    )


def shown_in(name: str, word: str) -> str:
    """What a page shows below a command, in the block that holds this word."""
    [code] = [block.code for block in pages.blocks(pages.page(name)) if word in block.code]
    return code.partition("\n")[2].strip()


@pytest.mark.slow
def test_the_programs_that_report_and_pull_do_so(tmp_path: Path) -> None:
    call = "call_01ke6z8m2tjfx3b5h1q9c7w4rd"
    follow(
        files_of("how-to/report-calls.md")
        + files_of("how-to/pull-events.md")
        + commands(
            (".venv/bin/python report_call.py", call),
            (".venv/bin/python report_call.py", call),
            (".venv/bin/python pull.py", f"callFinished {call} 1 {{'account_name': {{'family_name': 'Doe'"),
            (".venv/bin/python pull.py; echo That was $((6 * 7))", "That was 42"),
            ("sed -i.old 's/.answered./\"busy\"/' report_call.py; .venv/bin/python report_call.py", "used for another"),
            ("sed -i.old 's/00[.]42/00.43/' report_call.py; .venv/bin/python report_call.py", "expected one of"),
        ),
        tmp_path,
    )


@pytest.mark.slow
def test_both_sdks_of_brevo_work_as_the_page_says(tmp_path: Path) -> None:
    follow(
        files_of("how-to/move-from-brevo.md")
        + commands(
            (".venv/bin/python manage.py", "1 ['meetingBooked', 'callFinished']"),
            (
                "PYTHONPATH=.venv/brevo-sdk-1 .venv/bin/python manage_version_1.py",
                "2 ['meetingBooked', 'callFinished']",
            ),
        ),
        tmp_path,
    )


@pytest.mark.slow
def test_a_receiver_can_be_tested_as_the_page_says(tmp_path: Path) -> None:
    [receiver] = [
        block for block in pages.blocks(pages.page("tutorial/first-webhook.md")) if block.title == "receiver.py"
    ]
    secret, other = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
    send = "bash send.sh http://127.0.0.1:9000/hook"
    body = '"$(cat body.json)"'
    trigger = (
        "HOOKLINE_ALLOW_NETWORKS=127.0.0.0/8 .venv/bin/hookline trigger callFinished --to http://127.0.0.1:9000/hook"
    )
    sample = next(b for b in pages.blocks(pages.page("reference/events.md")) if b.title == "callFinished").code
    follow(
        files_of("how-to/test-a-receiver.md")
        + f'```python title="receiver.py"\n{receiver.code}```\n```json title="body.json"\n{sample}```\n'
        + f'```sh title="receiver"\nexport WEBHOOK_SECRET={secret}\n.venv/bin/python receiver.py\n```\n'
        + commands(
            (f"{send} {secret} callFinished call_1 1 {body}", "204 No Content"),
            (f"{send} {other} callFinished call_1 1 {body}", "no signature fits this body and secret."),
            (
                trigger,
                shown_in("how-to/test-a-receiver.md", "FAILED"),
            ),
            (f"NOW=1614265330 {send} {secret} callFinished call_1 1 {body}", "not within 300 seconds"),
            (
                f"{trigger} --secret {secret}",
                "ok      http://127.0.0.1:9000/hook  answered 204 in 3 ms",
            ),
            (".venv/bin/python -m pytest -q -p no:cacheprovider test_receiver.py", "1 passed"),
        ),
        tmp_path,
    )


def test_what_is_made_with_make_is_in_the_makefile() -> None:
    targets = set(
        re.findall(
            r"^([\w.-]+):", (pages.ROOT / "Makefile").read_text("utf-8").replace("$(VENV)", ".venv"), re.MULTILINE
        )
    )
    targets |= {".venv/run"}
    for page in pages.PAGES:
        code = "\n".join([*(block.code for block in pages.blocks(page.read_text("utf-8")))])
        code += "\n".join(re.findall(r"`(make [^`]+)`", page.read_text("utf-8")))
        assert set(re.findall(r"^(?:.*&& )?make (\S+)", code, re.MULTILINE)) <= targets, page.name
