"""Object stores on loopback that speak the real protocols: moto's S3, and an emulator of Google's."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

BUCKET = "lab"
SECRET = "planted-secret-of-the-store"


class S3:
    """A server that can go away and come back with all that it had."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._server: Any = None
        self.start()
        import boto3

        client = boto3.client(
            "s3",
            endpoint_url=self.env["AWS_ENDPOINT_URL"],
            region_name="us-east-1",
            aws_access_key_id="planted-key",
            aws_secret_access_key=SECRET,
        )
        client.create_bucket(Bucket=BUCKET)

    @property
    def env(self) -> Mapping[str, str]:
        """What a process needs to find it."""
        return {
            "AWS_ACCESS_KEY_ID": "planted-key",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def start(self) -> None:
        """Answer, if it does not yet."""
        if self._server is not None:
            return
        from moto.server import ThreadedMotoServer

        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=self.port, verbose=False)
        self._server.start()

    def stop(self) -> None:
        """Answer no more."""
        if self._server is not None:
            self._server.stop()
            self._server = None


@contextmanager
def google() -> Iterator[str]:
    """Google's; gives an address in it."""
    from gcp_storage_emulator.server import create_server

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    server = create_server("127.0.0.1", port, in_memory=True, default_bucket=BUCKET)
    server.start()
    try:
        yield f"gs://anonymous@{BUCKET}/runs?scheme=http&endpoint_override=127.0.0.1:{port}"
    finally:
        server.stop()
