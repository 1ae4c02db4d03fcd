"""Licences of everything that is locked: read from what is installed, and compared with those that are allowed.

A licence is an SPDX expression, as wheels have it (PEP 639), or what older ones say in words or by a classifier. What
cannot be read as an allowed one is a finding: a licence is looked at by a person before it goes into `ALLOWED`, and
into docs/explanation/dependencies.md.
"""

import re
from collections.abc import Iterator
from importlib.metadata import PackageMetadata
from typing import Final

#: SPDX identifier -> why a library under it may be depended on.
ALLOWED: Final = {
    "0BSD": "permissive",
    "Apache-2.0": "permissive; ours",
    "BSD-2-Clause": "permissive",
    "BSD-3-Clause": "permissive",
    "ISC": "permissive",
    "LGPL-3.0-only": "weak copyleft: imported unchanged, and can be replaced",
    "MIT": "permissive",
    "MIT-0": "permissive",
    "MPL-2.0": "weak copyleft, file by file: used unchanged",
    "PSF-2.0": "permissive; Python's own",
    "Unlicense": "public domain",
}
#: What wheels without an SPDX expression say -> what it is. The classifier of BSD does not say which; both are allowed.
_IN_WORDS: Final = {
    "3-clause bsd license": "BSD-3-Clause",
    "apache": "Apache-2.0",
    "apache 2": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "bsd": "BSD-3-Clause",
    "bsd 2-clause license": "BSD-2-Clause",
    "bsd license": "BSD-3-Clause",
    "isc license": "ISC",
    "isc license (iscl)": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
    "the unlicense (unlicense)": "Unlicense",
}
#: Wheels that say nothing: package -> licence and where a person read it.
LOOKED_UP: Final = {
    "brevo-python": ("MIT", "the README in its wheel, and LICENSE.md of version 1"),
    "taskiq-dependencies": ("MIT", "LICENSE in its wheel"),
}


def licence_of(name: str, metadata: PackageMetadata) -> str:
    """The licence of a package as an SPDX expression, or "" when nothing that it says can be read as one."""
    if name in LOOKED_UP:
        return LOOKED_UP[name][0]
    if expression := _said(metadata, "License-Expression"):
        return expression
    classifiers = (each.rpartition(" :: ")[2] for each in metadata.get_all("Classifier") or [] if "License ::" in each)
    said = [_named(word) for word in classifiers if word != "OSI Approved"]
    if known := [each for each in said if each]:
        return " OR ".join(dict.fromkeys(known)) if len(known) == len(said) else ""
    return _named(_said(metadata, "License"))


def _said(metadata: PackageMetadata, field: str) -> str:
    return str(metadata[field]) if field in metadata else ""


def _named(words: str) -> str:
    bare = " ".join(words.split())
    if _is_expression_of_known(bare):
        return bare
    return _IN_WORDS.get(bare.lower(), "")


def _is_expression_of_known(text: str) -> bool:
    return bool(text) and all(part in ALLOWED for part in re.split(r"\s+(?:AND|OR)\s+", text.strip("()")))


def is_allowed(expression: str) -> bool:
    """Whether this SPDX expression is allowed: of `OR` one side, of `AND` both. An exception (`WITH`) is not."""
    tokens = re.findall(r"[()]|[^\s()]+", expression)
    value, rest = _any_of(tokens)
    return value and not rest


def _any_of(tokens: list[str]) -> tuple[bool, list[str]]:
    value, rest = _all_of(tokens)
    while rest[:1] == ["OR"]:
        another, rest = _all_of(rest[1:])
        value = value or another
    return value, rest


def _all_of(tokens: list[str]) -> tuple[bool, list[str]]:
    value, rest = _one(tokens)
    while rest[:1] == ["AND"]:
        another, rest = _one(rest[1:])
        value = value and another
    return value, rest


def _one(tokens: list[str]) -> tuple[bool, list[str]]:
    if not tokens:
        return False, []
    first, *rest = tokens
    if first == "(":
        value, rest = _any_of(rest)
        return value and rest[:1] == [")"], rest[1:]
    return first in ALLOWED, rest


def objections(name: str, metadata: PackageMetadata) -> Iterator[str]:
    """A sentence if this package's licence is unknown or not allowed."""
    licence = licence_of(name, metadata)
    if not licence:
        yield f"{name}: its licence is unknown; it says {' '.join(_said(metadata, 'License').split())[:80]!r}"
    elif not is_allowed(licence):
        yield f"{name}: {licence} is not among the allowed licences"
