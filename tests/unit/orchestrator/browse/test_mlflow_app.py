from __future__ import annotations

import asyncio
from typing import Any

import pytest

from orchestrator.browse.mlflow_app import WithScript, script

PAGE = b"<html><head><title>MLflow</title></head><body></head></body></html>"


async def _mlflow(scope: Any, receive: Any, send: Any) -> None:
    headers = [(b"content-type", b"text/html"), (b"content-length", str(len(PAGE)).encode()), (b"etag", b'"1"')]
    fresh = any(name == b"if-none-match" for name, _ in scope["headers"])
    await send({"type": "http.response.start", "status": 304 if fresh else 200, "headers": headers})
    await send({"type": "http.response.body", "body": PAGE[:20], "more_body": True})
    await send({"type": "http.response.body", "body": PAGE[20:]})


def ask(path: str, method: str = "GET") -> tuple[int, dict[bytes, bytes], bytes]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    scope = {"type": "http", "path": path, "method": method, "headers": [(b"if-none-match", b'"1"')]}
    asyncio.run(WithScript(_mlflow)(scope, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"]), b"".join(m.get("body", b"") for m in sent[1:])


def test_the_start_page_gets_the_line_once_and_is_never_called_fresh() -> None:
    status, headers, body = ask("/")
    assert status == 200
    assert body == PAGE.replace(b"</head>", script() + b"</head>", 1)
    assert int(headers[b"content-length"]) == len(body)
    assert b"etag" not in headers


@pytest.mark.parametrize(
    ("path", "method"), [("/api/2.0/mlflow/runs/get", "GET"), ("/static/main.js", "GET"), ("/", "POST")]
)
def test_everything_else_passes_untouched(path: str, method: str) -> None:
    status, headers, body = ask(path, method)
    assert (status, body, headers[b"etag"]) == (304, PAGE, b'"1"')
