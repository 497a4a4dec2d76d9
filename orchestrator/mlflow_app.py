"""MLflow's own server, whose pages start on the side of model training.

MLflow's sidebar shows its GenAI pages unless the browser remembers otherwise, and every link to a run forgets what the address
said. So the page itself is served with a line that lets a browser that remembers nothing remember model training; what somebody
chooses after that stays. The assistant's panel, which would cover the table at the first visit, stays closed in the same way.

`mlflow server --app-name ablate` runs it.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Callable[[], Awaitable[Message]], Send], Awaitable[None]]

REMEMBERED = {
    "mlflow.workflowType_v1": "machine_learning",
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": True,
    "mlflow.assistant.panelOpen_v1": False,
}
"""Keys of the browser's local storage, as MLflow 3.17 names them, and their values."""
_END_OF_HEAD = b"</head>"


def script() -> bytes:
    """An element for the page's head."""
    values = json.dumps({key: json.dumps(value) for key, value in REMEMBERED.items()})
    return (
        f"<script>for(const [k,v] of Object.entries({values}))try{{"
        "if(localStorage.getItem(k)===null)localStorage.setItem(k,v)}catch(e){}</script>"
    ).encode()


class WithScript:
    """An ASGI application whose start page has `script()` in its head; everything else passes through untouched.

    Args:
        app: MLflow's.
    """

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Callable[[], Awaitable[Message]], send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or scope["path"] != "/" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        # a page that was kept from a server without this line must not be called fresh
        headers = [(k, v) for k, v in scope["headers"] if k not in (b"if-none-match", b"if-modified-since")]
        started: Message = {}
        body = bytearray()

        async def held(message: Message) -> None:
            if message["type"] == "http.response.start":
                started.update(message)
                return
            body.extend(message.get("body", b""))
            if not message.get("more_body"):
                await _answer(send, started, bytes(body))

        await self._app({**scope, "headers": headers}, receive, held)


async def _answer(send: Send, started: Message, body: bytes) -> None:
    body = body.replace(_END_OF_HEAD, script() + _END_OF_HEAD, 1)
    dropped = (b"content-length", b"etag", b"last-modified")
    headers = [(k, v) for k, v in started["headers"] if k.lower() not in dropped]
    await send({**started, "headers": [*headers, (b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})


def create_app() -> App:
    """For uvicorn."""
    from mlflow.server.fastapi_app import app

    return WithScript(app)
