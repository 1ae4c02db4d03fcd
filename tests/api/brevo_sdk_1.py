"""What a program written for brevo-python 1.2.0 does. Run it with the SDK's folder on the path.

Its arguments are URL and key. It prints what came back, as JSON. The models of that SDK refuse event names that it does
not know before they send anything, so programs pass plain dictionaries.
"""

import json
import sys
from typing import Any

import brevo_python
from brevo_python.rest import ApiException

EVENTS = ["meetingBooked", "meetingStarted", "meetingCancelled", "callFinished"]


def main(url: str, key: str) -> dict[str, Any]:
    """Make, list, read, update and delete a webhook."""
    configuration = brevo_python.Configuration()
    configuration.api_key["api-key"] = key
    configuration.host = url
    api = brevo_python.WebhooksApi(brevo_python.ApiClient(configuration))
    made = api.create_webhook({"url": "http://127.0.0.1:9/one", "events": EVENTS, "description": "One"})
    other = api.create_webhook({"url": "http://127.0.0.1:9/two", "events": EVENTS[:1], "type": "transactional"})
    read = api.get_webhook(made.id)
    listed = {sort: api.get_webhooks(type="transactional", sort=sort) for sort in ("asc", "desc")}
    updated = api.update_webhook(made.id, brevo_python.UpdateWebhook(url="http://127.0.0.1:9/new"))
    after = api.get_webhook(made.id)
    wanted = {"event": "allEvents", "notifyURL": "http://127.0.0.1:9/told", "type": "transactional", "days": 7}
    exported = api.export_webhooks_history(wanted).process_id
    process = brevo_python.ProcessApi(api.api_client).get_process(exported)
    return {
        "ids": [made.id, other.id],
        "read": read.to_dict(),
        "listed": {sort: [webhook["id"] for webhook in answer.webhooks] for sort, answer in listed.items()},
        "updated": updated,
        "after": after.to_dict(),
        "refused": [
            refusal(lambda: api.create_webhook({"url": "http://127.0.0.1:9/"})),
            refusal(lambda: api.create_webhook({"url": "http://127.0.0.1:9/", "events": ["delivered"]})),
        ],
        "deleted": [api.delete_webhook(other.id), refusal(lambda: api.delete_webhook(other.id))],
        "exported": exported,
        "process": [process.id, process.name],
        "missing": refusal(lambda: api.get_webhook(other.id)),
    }


def refusal(call: Any) -> Any:
    """Status and code with which a call is refused."""
    try:
        return call()
    except ApiException as problem:
        return [problem.status, json.loads(problem.body)["code"]]


if __name__ == "__main__":
    json.dump(main(*sys.argv[1:]), sys.stdout, default=str)
