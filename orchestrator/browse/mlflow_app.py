"""MLflow's own server, whose pages start on the side of model training.

MLflow's sidebar shows its GenAI pages unless the browser remembers otherwise, and every link to a run forgets what the address
said. So the page itself is served with a line that lets a browser that remembers nothing remember model training; what somebody
chooses after that stays. The assistant's panel, which would cover the table at the first visit, stays closed in the same way.

The report's links name a trial by study and trial id, `/ablate/STUDY/TRIAL`, for only the store knows its run's id: a page there
asks the store with the rights of whoever opened it, and goes on to the run.

`mlflow server --app-name ablate` runs it.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
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
TRIAL_PATH = "/ablate/"
_END_OF_HEAD = b"</head>"
_TO_TRIAL = b"""<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>To the trial's run</title></head>
<body><main><p id="said">Looking for the trial's run &hellip;</p></main><script>
(async () => {
  const say = (text) => { document.getElementById("said").textContent = text; };
  const [study, trial] = location.pathname.split("/").slice(2).map(decodeURIComponent);
  const ask = async (path, options) => {
    const answer = await fetch("/ajax-api/2.0/mlflow/" + path, options);
    return answer.ok ? answer.json() : null;
  };
  if (!study || !/^[0-9A-Za-z_-]+$/.test(trial || "") || /['`\\\\]/.test(study)) return say("This address names no trial.");
  const found = await ask("experiments/get-by-name?experiment_name=" + encodeURIComponent(study));
  if (!found) return say("MLflow has no study " + study + " here; `ablate sync` writes it.");
  const id = found.experiment.experiment_id;
  const search = await ask("runs/search", {
    method: "POST", headers: {"Content-Type": "application/json"},
    body: JSON.stringify({experiment_ids: [id], max_results: 1, filter: "tags.`ablate.key` = 'trial:" + study + ":" + trial + "'"}),
  });
  const run = search && search.runs && search.runs[0];
  if (!run) return say("MLflow does not have this trial yet; `ablate sync` writes it.");
  location.replace("/#/experiments/" + id + "/runs/" + run.info.run_id);
})();
</script></body></html>
"""
_HTML = [(b"content-type", b"text/html; charset=utf-8")]


def script() -> bytes:
    """An element for the page's head."""
    values = json.dumps({key: json.dumps(value) for key, value in REMEMBERED.items()})
    return (
        f"<script>for(const [k,v] of Object.entries({values}))try{{"
        "if(localStorage.getItem(k)===null)localStorage.setItem(k,v)}catch(e){}</script>"
    ).encode()


class WithScript:
    """An ASGI application whose start page has `script()` in its head, and which leads from a trial to its run.

    Everything else passes through untouched.

    Args:
        app: MLflow's.
        is_allowed: Whether a request may call this server by a name; MLflow's own pages are asked by MLflow.
    """

    def __init__(self, app: App, is_allowed: Callable[[str], bool] = lambda host: True) -> None:
        self._app = app
        self._is_allowed = is_allowed

    async def __call__(self, scope: Scope, receive: Callable[[], Awaitable[Message]], send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and scope["path"].startswith(TRIAL_PATH) and scope["method"] == "GET":
            if not self._is_allowed(dict(scope["headers"]).get(b"host", b"").decode("latin-1")):
                await _answer(
                    send, {"type": "http.response.start", "status": 403, "headers": _HTML}, b"Not by this name."
                )
                return
            await _answer(send, {"type": "http.response.start", "status": 200, "headers": _HTML}, _TO_TRIAL)
            return
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
                await _answer(send, started, bytes(body).replace(_END_OF_HEAD, script() + _END_OF_HEAD, 1))

        await self._app({**scope, "headers": headers}, receive, held)


async def _answer(send: Send, started: Message, body: bytes) -> None:
    dropped = (b"content-length", b"etag", b"last-modified")
    headers = [(k, v) for k, v in started["headers"] if k.lower() not in dropped]
    await send({**started, "headers": [*headers, (b"content-length", str(len(body)).encode())]})
    await send({"type": "http.response.body", "body": body})


def create_app() -> App:
    """For uvicorn."""
    from mlflow.server.fastapi_app import app
    from mlflow.server.fastapi_security import get_allowed_hosts
    from mlflow.server.security_utils import is_allowed_host_header

    return WithScript(app, partial(is_allowed_host_header, get_allowed_hosts()))
