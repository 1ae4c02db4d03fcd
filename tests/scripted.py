"""A phone system that calls us and says whatever the test says: facts as they are kept, with a password.

As a program it is `hookline`, which knows this kind of connector too.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from hookline.bootstrap import connectors
from hookline.cli.app import main
from hookline.domain.kept_facts import facts_from_text, facts_to_text
from hookline.errors import Invalid, PermissionDenied, Unauthorized
from hookline.ports.connectors import Acknowledgement, Posted, Report


class Scripted:
    """A kind that is `Called`."""

    kind = "scripted"
    secrets = frozenset({"password"})
    waits = timedelta(0)

    def __init__(self, waits: timedelta = timedelta(0)) -> None:
        self.waits = waits
        self.posted: list[Posted] = []

    def check(self, settings: Mapping[str, Any]) -> Mapping[str, Any]:
        return settings

    def read(self, posted: Posted, settings: Mapping[str, Any]) -> Sequence[Report]:
        self.posted.append(posted)
        if settings["password"] not in (posted.headers.get("x-password"), posted.query):
            raise Unauthorized("The password is wrong.")
        if posted.headers.get("x-account", "ours") != "ours":
            raise PermissionDenied("This is about another account.")
        if posted.body == b"nothing":
            return ()
        if posted.body == b"mistake":
            raise ZeroDivisionError
        try:
            return [_report(said) for said in json.loads(posted.body)]
        except ValueError:
            raise Invalid("The body is no JSON.", code="bad_request") from None


class Talkative(Scripted):
    """A kind that is `Acknowledging`."""

    kind = "talkative"
    acknowledgement = Acknowledgement(content_type="text/xml", body=b"<Response/>")


def saying(*reports: Report) -> bytes:
    """The body with which the system tells these."""
    return json.dumps([[each.call_key, facts_to_text(each.facts), each.complete] for each in reports]).encode()


def _report(said: Sequence[Any]) -> Report:
    call_key, facts, complete = said
    return Report(call_key=call_key, facts=facts_from_text(facts), complete=complete)


if __name__ == "__main__":
    connectors.connector_kinds = lambda *_: {"scripted": Scripted(waits=timedelta(seconds=1))}
    main()
