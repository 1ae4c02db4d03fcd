"""Asks curl, Go's net/http and Python's http.client and httpx what they make of the answers in `raw.py`.

`python -m tests.answers.clients` writes `tests/fixtures/answers.json`. It needs curl; Go is asked when it is installed.
No test runs this: the fixture is the record, with the versions of the clients.
"""

import asyncio
import http.client
import json
import os
import platform
import shutil
import socket
import struct
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import httpx

from tests.answers.raw import ANSWERS, RawAnswer
from tests.patience import PATIENCE_SECONDS

FIXTURE: Final = Path(__file__).parents[1] / "fixtures" / "answers.json"
_GO: Final = r"""
package main

import ("encoding/json"; "fmt"; "io"; "net/http"; "os"; "strings"; "time")

func main() {
	client := &http.Client{Timeout: SECONDS * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{DisableCompression: true}}
	said := map[string]any{}
	request, _ := http.NewRequest("POST", os.Args[1], strings.NewReader("{}"))
	answer, err := client.Do(request)
	if err == nil {
		var body []byte
		body, err = io.ReadAll(answer.Body)
		said["status"] = answer.StatusCode
		said["body"] = string(body)
	}
	if err != nil { said["error"] = err.Error() }
	text, _ := json.Marshal(said)
	fmt.Println(string(text))
}
""".replace("SECONDS", str(PATIENCE_SECONDS))


@asynccontextmanager
async def _answering(answer: RawAnswer) -> AsyncIterator[int]:
    """A receiver on loopback that gives this answer to every request; its port."""

    async def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().splitlines() if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.partition(b":")[2]))
            writer.write(answer.raw)
            await writer.drain()
            if answer.end == "open":
                await reader.read()
            if answer.end == "reset":
                await asyncio.sleep(0.2)  # noqa: TID251  # until the answer was read: a reset discards what was not
                stream = writer.get_extra_info("socket")
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the client has gone; what it made of the answer is known to it alone
        finally:
            writer.close()

    server = await asyncio.start_server(visit, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def _said(status: int | None, body: bytes, error: str) -> dict[str, Any]:
    whole = not error and status is not None
    return {"status": status, "body": body.decode("latin-1") if whole else None, "error": error}


def _curl(port: int) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile() as body:
        ran = subprocess.run(
            [
                *(
                    "curl",
                    "-sS",
                    "-m",
                    str(PATIENCE_SECONDS),
                    "--data-binary",
                    "{}",
                    "-o",
                    body.name,
                    "-w",
                    "%{http_code}",
                ),
                f"http://127.0.0.1:{port}/",
            ],
            capture_output=True,
            check=False,
        )
        error = f"exit {ran.returncode}: {ran.stderr.decode('latin-1').strip()}" if ran.returncode else ""
        return _said(int(ran.stdout) or None, Path(body.name).read_bytes(), error.replace(str(port), "PORT"))


def _http_client(port: int) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    status = None
    try:
        connection.request("POST", "/", b"{}")
        answer = connection.getresponse()
        status = answer.status
        return _said(status, answer.read(), "")
    except (OSError, http.client.HTTPException, ValueError, OverflowError) as problem:
        return _said(status, b"", f"{type(problem).__name__}: {problem}"[:200])
    finally:
        connection.close()


def _httpx(port: int) -> dict[str, Any]:
    status = None
    try:
        with (
            httpx.Client(timeout=PATIENCE_SECONDS, trust_env=False) as client,
            client.stream("POST", f"http://127.0.0.1:{port}/", content=b"{}") as answer,
        ):
            status = answer.status_code
            return _said(status, b"".join(answer.iter_raw()), "")
    except (httpx.HTTPError, ValueError, OverflowError) as problem:
        return _said(status, b"", f"{type(problem).__name__}: {problem}"[:200])


def _go_client(folder: Path) -> Callable[[int], dict[str, Any]]:
    (folder / "main.go").write_text(_GO)
    program = folder / "client"
    environment = {**os.environ, "GOFLAGS": "-mod=mod", "GO111MODULE": "off", "GOCACHE": str(folder / "cache")}
    subprocess.run(["go", "build", "-o", str(program), str(folder / "main.go")], check=True, env=environment)

    def ask(port: int) -> dict[str, Any]:
        ran = subprocess.run([str(program), f"http://127.0.0.1:{port}/"], capture_output=True, check=True)
        said = json.loads(ran.stdout)
        error = said.get("error", "").replace(str(port), "PORT")
        return _said(said.get("status"), said.get("body", "").encode(), error[:200])

    return ask


async def _table(clients: dict[str, Callable[[int], dict[str, Any]]]) -> dict[str, Any]:
    table = {}
    for name, answer in ANSWERS.items():
        async with _answering(answer) as port:
            asked = (asyncio.to_thread(client, port) for client in clients.values())
            table[name] = dict(zip(clients, await asyncio.gather(*asked), strict=True))
        print(name, {client: said["error"] or said["status"] for client, said in table[name].items()})
    return table


def _version(*command: str) -> str:
    return subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()[0]


def main() -> None:
    """Ask all clients and write the fixture."""
    clients: dict[str, Callable[[int], dict[str, Any]]] = {"curl": _curl, "http.client": _http_client, "httpx": _httpx}
    versions = {
        "curl": _version("curl", "--version").split(" (")[0],
        "http.client": f"Python {platform.python_version()}",
        "httpx": f"httpx {httpx.__version__}, h11 {version('h11')}",
    }
    with tempfile.TemporaryDirectory() as folder:
        if shutil.which("go"):
            clients["go"] = _go_client(Path(folder))
            versions["go"] = _version("go", "version")
        table = asyncio.run(_table(clients))
    FIXTURE.write_text(json.dumps({"versions": versions, "answers": table}, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
