"""A folder in an object store (S3, Google Cloud Storage, Azure), through pyarrow's file systems."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from orchestrator.common.addresses import without_secrets
from orchestrator.common.errors import AblateError
from trainables.files import TEMPORARY_PREFIX, replacing

SCHEMES = ("s3", "gs", "gcs", "abfs", "abfss")
LONGEST = 400
_SECRET_WORDS = re.compile(r"key|secret|token|password|credential", re.IGNORECASE)
_LARGE_BYTES = 1 << 24
_LONGEST_NAME = 255  # bytes of a file's name that file systems take


class RemoteError(AblateError):
    """The object store did not do what was asked."""


def is_remote(text: str) -> bool:
    """Whether this names a place by a scheme: `s3://bucket/runs`."""
    return "://" in text


class RemoteFolder:
    """Files below an address, by name (`ledger/part-1.parquet`). Pickles as its address; credentials come from where it is used.

    Args:
        uri: `s3://BUCKET/FOLDER`, also with `?region=` and `?endpoint_override=`; AWS_ENDPOINT_URL is read as well.

    Raises RemoteError for an address that is none, or that has a secret in it.
    """

    def __init__(self, uri: str) -> None:
        try:
            parts = urlsplit(uri)
            named = bool(parts.netloc)
        except ValueError:
            parts, named = urlsplit(""), False
        if parts.scheme not in SCHEMES or not named or ".." in PurePosixPath(parts.path).parts or parts.fragment:
            raise RemoteError(
                f"--runs: '{without_secrets(uri)}' is no folder in an object store; give s3://BUCKET/FOLDER, "
                "gs://BUCKET/FOLDER or abfs://CONTAINER@ACCOUNT/FOLDER, or a folder of a file system"
            )
        user, at, _ = parts.netloc.rpartition("@")
        open_to_all = parts.scheme in ("gs", "gcs") and user == "anonymous"
        container = parts.scheme.startswith("abfs") and ":" not in user
        secret = [name for name, _ in parse_qsl(parts.query) if _SECRET_WORDS.search(name)]
        if (at and not (open_to_all or container)) or secret:
            raise RemoteError(
                f"--runs: '{without_secrets(uri)}' has a secret in it, which everybody could read who lists processes; leave "
                "it to the environment (AWS_ACCESS_KEY_ID and so on), the machine's role, or the provider's own files"
            )
        self.uri = urlunsplit(parts._replace(path=parts.path.rstrip("/")))

    def __reduce__(self) -> tuple[type[RemoteFolder], tuple[str]]:
        return RemoteFolder, (self.uri,)

    def __str__(self) -> str:
        return self.uri

    def __truediv__(self, name: str) -> RemoteFolder:
        """A folder below this one."""
        parts = urlsplit(self.uri)
        return RemoteFolder(urlunsplit(parts._replace(path=f"{parts.path}/{name}")))

    @cached_property
    def _place(self) -> tuple[Any, str]:
        from pyarrow.fs import FileSystem

        with self._problems():
            system, root = FileSystem.from_uri(self.uri)
        return system, root.rstrip("/")

    @contextmanager
    def _problems(self) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        except (OSError, ValueError) as problem:  # pyarrow's own errors are of these two kinds
            text = " ".join(str(problem).split())
            for value in (
                os.environ.get(n) for n in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
            ):
                text = text.replace(value, "…") if value else text
            raise RemoteError(f"{self.uri}: {text[:LONGEST]}") from problem

    def check(self) -> None:
        """Raise RemoteError where the bucket is not there, or nobody answers."""
        from pyarrow.fs import FileType

        system, root = self._place
        bucket = root.partition("/")[0]
        with self._problems():
            found = system.get_file_info(bucket).type
        if found == FileType.NotFound:
            raise RemoteError(f"{self.uri}: there is no bucket '{bucket}'; make it first")

    def files(self, below: str = "") -> dict[str, tuple[int, Any]]:
        """Size in bytes and time of the last change of every file, by its name."""
        from pyarrow.fs import FileSelector, FileType

        system, root = self._place
        start = f"{root}/{below}".rstrip("/")
        with self._problems():
            found = system.get_file_info(FileSelector(start, recursive=True, allow_not_found=True))
        return {f.path[len(root) + 1 :]: (f.size, f.mtime_ns) for f in found if f.type == FileType.File}

    def write(self, name: str, content: bytes) -> None:
        """Put a file there, whole."""
        system, root = self._place
        with self._problems(), system.open_output_stream(f"{root}/{name}") as stream:
            stream.write(content)

    def read(self, name: str) -> bytes:
        """A file's bytes. Raises FileNotFoundError."""
        system, root = self._place
        with self._problems(), system.open_input_stream(f"{root}/{name}") as stream:
            content: bytes = stream.read()
        return content

    def send(self, path: Path, name: str) -> None:
        """Put a local file there. Raises FileNotFoundError where it is gone."""
        if path.stat().st_size <= _LARGE_BYTES:
            self.write(name, path.read_bytes())
            return
        import pyarrow as pa

        with pa.memory_map(str(path)) as source:
            self.write(name, source.read_buffer())

    def fetch(self, name: str, path: Path) -> None:
        """Bring a file to `path`, whole or not at all. Raises FileNotFoundError."""
        content = self.read(name)
        with replacing(path) as temporary:
            temporary.write_bytes(content)

    def delete(self, name: str) -> None:
        """Take a file away; one that is not there is no matter."""
        system, root = self._place
        try:
            with self._problems():
                system.delete_file(f"{root}/{name}")
        except FileNotFoundError:
            return


def is_safe(name: str) -> bool:
    """Whether a name from the store stays below the folder that it is written into, and is nobody's temporary file."""
    path = PurePosixPath(name)
    return (
        not path.is_absolute()
        and path.as_posix() == name
        and not {"", ".", ".."} & set(path.parts)
        and "\\" not in name
        and "\0" not in name
        and all(len(os.fsencode(part)) <= _LONGEST_NAME for part in path.parts)
        and not any(part.startswith(TEMPORARY_PREFIX) for part in path.parts)
    )
