"""Downloads with retries."""

from __future__ import annotations

import http.client
import logging
import os
import shutil
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from nowcast_worker.errors import WorkerError

#: Seconds in which a server must accept a connection, and send the next bytes.
_TIMEOUT = 60

#: How a request fails: the connection, the server's refusal, an incomplete body. All errors of the package requests are `OSError`, too.
_FAILURES = (OSError, http.client.HTTPException)


def get_web_data(
    file_url: str,
    logger_name: str,
    filepath: str | os.PathLike[str] | None = None,
    session: Any = None,
    chunk_size: int = 100 * 1024,
    wait_exponential_multiplier: float = 2,
    wait_retry_max: float = 256,
    wait_exponential_max: float = 60 * 60,
) -> bytes | None:
    """Download a file, and try again if that fails: what a server refuses may appear later.

    With the defaults, the pauses are 2, 4, 8 … 256 seconds, then always 256, for about an hour.

    :param file_url: The http or https address.
    :param logger_name: The name of the logger for failures and pauses.
    :param filepath: The file to write. It appears under its name when it is whole. Without it, the content is returned.
    :param session: A `requests.Session` to use instead of the standard library, for many files from one server.
    :param chunk_size: The bytes that are read at once.
    :param wait_exponential_multiplier: The first pause in seconds, and the factor from each pause to the next.
    :param wait_retry_max: The longest pause in seconds.
    :param wait_exponential_max: The limit of all pauses together in seconds.
    :raises WorkerError: The last attempt failed, or the file cannot be written.
    """
    logger = logging.getLogger(logger_name)
    if urllib.parse.urlsplit(file_url).scheme not in ("http", "https"):
        raise WorkerError(f"invalid address {file_url!r}; write it as https://host/path")
    pauses = _pauses(wait_exponential_multiplier, wait_retry_max, wait_exponential_max)
    attempts = 0
    while True:
        attempts += 1
        try:
            return _download(file_url, filepath, session, chunk_size)
        except _FAILURES as error:
            logger.debug(f"received {error} from {file_url}")
        pause = next(pauses, None)
        if pause is None:
            logger.error(f"giving up; download from {file_url} failed {attempts} times")
            raise WorkerError
        logger.debug(f"waiting {pause} seconds until retry {attempts}")
        time.sleep(pause)


def _pauses(first: float, longest: float, total: float) -> Iterator[float]:
    """Yield the pauses. NEMO_Nowcast counts the first one twice."""
    pause, spent = first, first
    while spent < total:
        yield min(pause, longest)
        spent += min(pause, longest)
        pause *= first


def _download(url: str, filepath: str | os.PathLike[str] | None, session: Any, chunk_size: int) -> bytes | None:
    chunks = _chunks(url, chunk_size) if session is None else _chunks_of_session(session, url, chunk_size)
    if filepath is None:
        return b"".join(chunks)
    # Before the file is opened: a refusal leaves no trace.
    first = next(chunks, b"")
    with _replaced(Path(filepath)) as write:
        write(first)
        for chunk in chunks:
            write(chunk)
    return None


def _chunks(url: str, chunk_size: int) -> Iterator[bytes]:
    # Some servers refuse the name of urllib.
    request = urllib.request.Request(url, headers={"User-Agent": "nowcast-worker"})
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
        while True:
            chunk = response.read(chunk_size)
            if not chunk:
                break
            yield chunk
        # A connection that ends too early is not an error of `read`.
        if response.length:
            raise http.client.IncompleteRead(b"", response.length)


def _chunks_of_session(session: Any, url: str, chunk_size: int) -> Iterator[bytes]:
    response = session.get(url, stream=True)
    response.raise_for_status()
    yield from response.iter_content(chunk_size=chunk_size)


@contextmanager
def _replaced(path: Path) -> Iterator[Any]:
    """Yield a function that writes to a new file, which replaces the path at the end. Writing that fails is not tried again."""
    # The target of a symbolic link is replaced, not the link.
    path = path.resolve()
    if path.exists() and not path.is_file():
        raise WorkerError(f"{path} is not a regular file")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")

    def write(chunk: bytes) -> None:
        with _unwritable(path):
            stream.write(chunk)

    try:
        with _unwritable(path):
            stream: BinaryIO = open(part, "wb")
        with stream:
            yield write
            with _unwritable(path):
                stream.flush()
        with _unwritable(path):
            if path.exists():
                shutil.copymode(path, part)
            os.replace(part, path)
    finally:
        if part.exists():
            part.unlink()


@contextmanager
def _unwritable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise WorkerError(f"{path} cannot be written: {error}") from error
