"""A proxy before a real MLflow server that can be slow, refuse, fail or vanish, as servers do."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import urlsplit

Fault = Literal["none", "down", "slow", "error", "denied"]
SLOW_SECONDS = 5.0


class FaultyServer:
    """Hands requests on to `upstream`; `fault` says how badly. Counts the calls that it saw in `calls`.

    Args:
        upstream: A server's address.
    """

    def __init__(self, upstream: str) -> None:
        self.fault: Fault = "none"
        self.calls = 0
        self.authorization: str | None = None
        """What the last request said of who asks."""
        self.upstream = urlsplit(upstream)
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                outer.calls += 1
                outer.authorization = self.headers.get("Authorization")
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                fault = outer.fault
                if fault == "down":
                    self.close_connection = True
                    self.connection.close()
                    return
                if fault == "slow":
                    time.sleep(SLOW_SECONDS)
                if fault in ("error", "denied"):
                    status, text = (500, b"Internal Server Error") if fault == "error" else (401, b"Not authenticated")
                    self.reply(status, text, {})
                    return
                link = http.client.HTTPConnection(outer.upstream.netloc, timeout=30)
                headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection")}
                link.request(self.command, self.path, body, {**headers, "Host": outer.upstream.netloc})
                got = link.getresponse()
                self.reply(got.status, got.read(), {"Content-Type": got.getheader("Content-Type", "text/plain")})
                link.close()

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

            def reply(self, status: int, content: bytes, headers: dict[str, str]) -> None:
                try:
                    self.send_response(status)
                    for name, value in {**headers, "Content-Length": str(len(content))}.items():
                        self.send_header(name, value)
                    self.end_headers()
                    self.wfile.write(content)
                except OSError:
                    self.close_connection = True  # the caller gave up

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def running(self) -> Iterator[FaultyServer]:
        """Serve for the length of the block."""
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()
