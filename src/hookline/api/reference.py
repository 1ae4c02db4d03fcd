"""The reference page: the API's description as a page for people, without scripts, made from the OpenAPI document.

What a field looks like: `reference_fields.py`. How HTML is made and framed: `markup.py`, `reference.css`.
"""

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from hookline.api.markup import Html, code_block, coloured_json, join, json_block, link, page, prose, tag
from hookline.api.reference_fields import Schemas, fields_of, has_fields, parameter, resolved
from hookline.domain.batches import MAX_EVENTS

Document = Mapping[str, Any]
Operation = Mapping[str, Any]

_EXAMPLE_IDS: Final = {
    "webhooks": "1",
    "meetings": "mtg_01k2j3q4r5s6t7v8w9x0y1z2a3",
    "calls": "call_01k2j3q4r5s6t7v8w9x0y1z2a3",
    "events": "evt_01k2j3q4r5s6t7v8w9x0y1z2a3",
    "deliveries": "dlv_01k2j3q4r5s6t7v8w9x0y1z2a3_1",
}
_BASICS: Final = {"keys": "Keys", "errors": "Errors", "receiving": "Receiving"}
_SCOPES: Final = {
    "admin": "may do everything, and alone sees secrets, tokens and header values.",
    "ingest": "may only report meetings and calls.",
    "read": "may look at everything but secrets, and change nothing.",
}
_VERIFY: Final = """\
from hookline.receiver import Receiver

receiver = Receiver("whsec_...")
message = receiver.verify(body, headers)
message.id, message.event, message.payload\
"""


def reference_page(document: Document) -> str:
    """The page."""
    return page(
        "Hookline API reference",
        link("#content", "Skip to the content", class_="skip"),
        tag("div", _navigation(document), tag("main", *_content(document), id="content"), class_="frame"),
    )


def welcome_page(document: Document) -> str:
    """What `/` shows: what answers here, and where to go on."""
    url = document["servers"][0]["url"]
    return page(
        "Hookline",
        tag(
            "main",
            tag("h1", "Hookline ", tag("small", document["info"]["version"])),
            tag("p", document["info"]["summary"], class_="lead"),
            tag("p", "This server is up. Its API needs a key and lives below ", tag("code", f"{url}/v3"), "."),
            tag(
                "ul",
                tag("li", link("docs", "API reference"), ": every route and every event, with examples"),
                tag("li", link("openapi.json", "OpenAPI 3.1"), ": the same for programs"),
                tag("li", link("healthz", "Health"), " and ", link("readyz", "readiness")),
            ),
            code_block(f'curl {url}/v3/webhooks -H "api-key: $HOOKLINE_API_KEY"', "A first request"),
            class_="welcome",
        ),
    )


def _navigation(document: Document) -> Html:
    groups = [_group("About", [(f"#{id_}", join(name)) for id_, name in _BASICS.items()])]
    for topic in document["tags"]:
        entries = [
            (f"#{operation['operationId']}", join(_badge(method), tag("span", _label(operation))))
            for method, _, operation in _operations(document, topic["name"])
        ]
        groups.append(_group(_title(topic["name"]), entries, topic["name"]))
    events = [(f"#{kind}", join(tag("code", kind))) for kind in document["webhooks"]]
    groups.insert(-1, _group("What you receive", events, "payloads"))
    return tag(
        "nav",
        tag("p", link("./", "Hookline"), " ", tag("small", document["info"]["version"]), class_="brand"),
        *groups,
        aria_label="Contents",
    )


def _group(title: str, entries: list[tuple[str, Html]], anchor: str = "") -> Html:
    heading = link(f"#{anchor}", title) if anchor else join(title)
    return tag("section", tag("h2", heading), tag("ul", *(tag("li", link(to, label)) for to, label in entries)))


def _content(document: Document) -> Iterator[Html]:
    schemas: Schemas = document["components"]["schemas"]
    yield tag(
        "header",
        tag("h1", "API reference"),
        *(tag("p", prose(text)) for text in document["info"]["description"].split("\n\n")),
        tag("p", "Base URL ", tag("code", document["servers"][0]["url"]), ". For programs: ", _openapi_link(), "."),
    )
    yield _keys(document)
    yield _errors(document)
    yield _receiving(document)
    for topic in document["tags"]:
        if topic["name"] == "server":
            yield _payloads(document, schemas)
        yield tag(
            "section",
            tag("h2", _title(topic["name"])),
            tag("p", topic["description"]),
            *(_operation(document, *found) for found in _operations(document, topic["name"])),
            id=topic["name"],
        )


def _openapi_link() -> Html:
    return link("openapi.json", "openapi.json")


def _title(topic: str) -> str:
    return topic.capitalize()


def _label(operation: Operation) -> str:
    """The summary up to where it begins to explain."""
    return re.split("[:;,.]", operation["summary"])[0]


def _badge(method: str) -> Html:
    return tag("span", method.upper(), class_=f"method {method}")


def _operations(document: Document, topic: str) -> Iterator[tuple[str, str, Operation]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if topic in operation["tags"]:
                yield method, path, operation


def _keys(document: Document) -> Html:
    url = document["servers"][0]["url"]
    return tag(
        "section",
        tag("h2", _BASICS["keys"]),
        tag(
            "div",
            tag(
                "div",
                tag(
                    "p",
                    prose("Every request below `/v3` needs a key, as `api-key: ...` or `Authorization: Bearer ...`."),
                ),
                tag(
                    "dl",
                    *(tag("div", tag("dt", tag("code", name)), tag("dd", text)) for name, text in _SCOPES.items()),
                    class_="fields",
                ),
            ),
            code_block(f'curl {url}/v3/events \\\n  -H "api-key: $HOOKLINE_API_KEY"', "Request"),
            class_="columns",
        ),
        id="keys",
    )


def _errors(document: Document) -> Html:
    responses = document["components"]["responses"]
    rows = [
        tag("div", tag("dt", tag("code", str(each["x-status"]))), tag("dd", prose(each["description"])))
        for each in responses.values()
    ]
    sample = responses["Invalid"]["content"]["application/json"]["example"]
    return tag(
        "section",
        tag("h2", _BASICS["errors"]),
        tag("div", tag("dl", *rows, class_="fields"), json_block(sample, "400"), class_="columns"),
        id="errors",
    )


def _receiving(document: Document) -> Html:
    first = next(iter(document["webhooks"].values()))["post"]
    schemas = document["components"]["schemas"]
    return tag(
        "section",
        tag("h2", _BASICS["receiving"]),
        tag(
            "p",
            prose(
                "Each delivery is a POST whose body is the event itself, byte for byte the same in every attempt. What "
                "is not payload travels in headers. Answer with any 2xx in time; whatever else happens is tried again "
                "as the webhook's retry policy says, `410` excepted: it disables the webhook. Deliveries are at least "
                "once: keep the ids that you have seen."
            ),
        ),
        tag(
            "div",
            tag("dl", *(parameter(each, schemas, sent_by_us=True) for each in first["parameters"]), class_="fields"),
            tag(
                "div",
                code_block("\n".join(_headers(first["parameters"])), "Headers"),
                code_block(_VERIFY, "Check it in Python"),
            ),
            class_="columns",
        ),
        id="receiving",
    )


def _headers(parameters: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """The headers of a delivery; those of a batch, which never stand beside the others, have no example."""
    return (f"{each['name']}: {each['example']}" for each in parameters if "example" in each)


def _payloads(document: Document, schemas: Schemas) -> Html:
    return tag(
        "section",
        tag("h2", "What you receive"),
        tag(
            "p",
            prose(
                "The four events. Every key is always there: an absent text or list is empty, and no price is 0. A "
                f"webhook that is `batched` gets a list of up to {MAX_EVENTS} of one event."
            ),
        ),
        *(_event(kind, described["post"], schemas) for kind, described in document["webhooks"].items()),
        id="payloads",
    )


def _event(kind: str, described: Operation, schemas: Schemas) -> Html:
    content = described["requestBody"]["content"]["application/json"]
    one, _ = content["schema"]["oneOf"]
    return tag(
        "article",
        tag("h3", link(f"#{kind}", _badge("event"), tag("code", kind))),
        tag(
            "div",
            tag("div", tag("p", described["summary"]), fields_of(one, schemas, sent_by_us=True)),
            json_block(content["example"], "Body"),
            class_="columns",
        ),
        id=kind,
    )


def _operation(document: Document, method: str, path: str, operation: Operation) -> Html:
    id_ = operation["operationId"]
    return tag(
        "article",
        tag("h3", link(f"#{id_}", _badge(method), tag("code", path))),
        tag(
            "div",
            tag("div", *_said(document, operation)),
            tag("div", *_shown(document, method, path, operation)),
            class_="columns",
        ),
        id=id_,
    )


def _said(document: Document, operation: Operation) -> Iterator[Html]:
    """What a request takes and does."""
    components = document["components"]
    yield tag("p", prose(operation["summary"]), class_="summary")
    if "description" in operation:
        yield tag("p", prose(operation["description"]), class_="note")
    parameters = [
        components["parameters"][each["$ref"].rpartition("/")[2]] if "$ref" in each else each
        for each in operation.get("parameters", ())
    ]
    for place, title in (("path", "In the path"), ("query", "Query"), ("header", "Headers")):
        found = [parameter(each, components["schemas"]) for each in parameters if each["in"] == place]
        if found:
            yield tag("h4", title)
            yield tag("dl", *found, class_="fields")
    for title, schema in (("Body", _body_schema(operation)), ("Answer", _answer_schema(operation))):
        if schema is not None and has_fields(schema, components["schemas"]):
            yield tag("h4", title)
            if title == "Body":
                yield tag("p", prose(resolved(schema, components["schemas"])["description"]), class_="note")
            yield fields_of(schema, components["schemas"], sent_by_us=title == "Answer")
    refusals = [status for status, each in operation["responses"].items() if "$ref" in each]
    if refusals:
        yield tag(
            "p",
            "Refused with ",
            *_commas([link("#errors", status) for status in refusals]),
            ".",
            class_="note refusals",
        )


def _commas(pieces: list[Html]) -> list[str]:
    return [each for index, piece in enumerate(pieces) for each in ((", ", piece) if index else (piece,))]


def _body_schema(operation: Operation) -> Mapping[str, Any] | None:
    body: Mapping[str, Any] | None = operation.get("requestBody")
    return None if body is None else body["content"]["application/json"]["schema"]


def _answer_schema(operation: Operation) -> Mapping[str, Any] | None:
    answer = next(iter(operation["responses"].values()))
    schema: Mapping[str, Any] | None = answer.get("content", {}).get("application/json", {}).get("schema")
    return schema


def _shown(document: Document, method: str, path: str, operation: Operation) -> Iterator[Html]:
    """A request as it is typed, and its answer."""
    yield code_block(_curl(document, method, path, operation), "Request")
    status, answer = next(iter(operation["responses"].items()))
    example = answer.get("content", {}).get("application/json", {}).get("example")
    if example is not None:
        yield json_block(example, f"Answer {status}")
    elif status == "204":
        yield tag("p", prose("Answer `204`, without a body."), class_="note")


def _curl(document: Document, method: str, path: str, operation: Operation) -> Html:
    topic = operation["tags"][0]
    url = document["servers"][0]["url"] + path.replace("{id}", _EXAMPLE_IDS.get(topic, ""))
    verb = "" if method == "get" else f"-X {method.upper()} "
    lines = [join(f"curl {verb}{shlex.quote(url)}")]
    if path.startswith("/v3/"):
        lines.append(join('-H "api-key: $HOOKLINE_API_KEY"'))
    if "requestBody" in operation:
        body = json.dumps(
            operation["requestBody"]["content"]["application/json"]["example"], indent=2, ensure_ascii=False
        )
        quoted = coloured_json(body.replace("'", "'\\''"))
        lines.append(join("--json '", quoted, "'"))
    return Html(" \\\n  ".join(lines))
