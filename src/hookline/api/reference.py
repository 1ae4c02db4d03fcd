"""The reference page: the API's description as a page for people, without scripts."""

from typing import Any


def reference_page(document: dict[str, Any]) -> str:
    """The page."""
    return f"<!doctype html><title>Hookline API</title><p>{document['openapi']}</p>"
