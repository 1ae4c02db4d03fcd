"""Images that others made: each is named by its digest, since a tag can be moved to another image."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_PINNED: Final = re.compile(r"@sha256:[0-9a-f]{64}$")
_NAMED: Final = {
    "Dockerfile": re.compile(r"^(?:ARG \w*IMAGE=|FROM )(\S+)", re.MULTILINE),
    "compose.yaml": re.compile(r"^\s+image: (\S+)", re.MULTILINE),
}
#: Made from this checkout, or named by a build argument.
_OURS: Final = ("hookline", "${")


def unpinned(deploy: Path) -> Iterator[str]:
    """A sentence for each image of others that is named by a tag alone."""
    for name, pattern in _NAMED.items():
        for image in pattern.findall((deploy / name).read_text("utf-8")):
            if not image.startswith(_OURS) and not _PINNED.search(image):
                tag = image.partition("@")[0]
                yield (
                    f"deploy/{name}: {image} is not named by its digest. Ask: docker buildx imagetools inspect {tag}"
                    f" --format '{{{{.Manifest.Digest}}}}', and write {tag}@sha256:..."
                )
