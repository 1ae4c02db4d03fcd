"""A server whose process has no free file descriptor: nothing is lost, it says so, and it recovers by itself."""

import asyncio
from pathlib import Path

from tests.acceptance.serving import Answer, Api, Server, in_patience
from tests.api.door import CALL
from tests.fakes import Subscriber, replying


def test_without_descriptors_nothing_is_lost_and_the_server_recovers(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with (
            Server.running(tmp_path) as server,
            Api.to(server) as api,
            Subscriber.running(lambda _: replying(204)) as subscriber,
        ):
            await api.subscribe(subscriber)
            limits = server.limit_open_files(server.open_files)
            waiting = asyncio.create_task(_status_over_a_new_connection(server.port))
            answers = [await api.ask_once("POST", "/v3/calls", CALL) for _ in range(50)]
            assert {each.status for each in answers} <= {201, 503}  # 201: the files of the store are open already
            problems = await _problems(api)
            assert any("no free file descriptor" in each for each in problems)
            assert not waiting.done()

            server.limit_open_files(*limits)
            assert await in_patience(waiting, "the connection that waited") == b"HTTP/1.1 200 OK"
            answers += [await api.ask_once("POST", "/v3/calls", CALL) for _ in range(10)]
            assert [each.status for each in answers[-10:]] == [201] * 10
            accepted = {each.value["id"] for each in answers if each.status == 201}
            await in_patience(subscriber.until(lambda: len(subscriber.received) >= len(accepted)), "the deliveries")
            events = await api.get("/v3/events?limit=100")
            assert len(events["events"]) == len(accepted)
            assert server.end_of_log().count("connections.not_accepted") == 1

    asyncio.run(scenario())


async def _problems(api: Api) -> list[str]:
    answer: Answer = await api.ask_once("GET", "/readyz")
    return answer.of(503)["problems"]  # type: ignore[no-any-return]


async def _status_over_a_new_connection(port: int) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n")
    line = await reader.readline()
    writer.close()
    return line.strip()
