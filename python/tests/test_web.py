"""Downloads with retries, from a web server."""

from __future__ import annotations

import http.server
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from nowcast_worker import WorkerError, get_web_data, web

CONTENT = bytes(range(256)) * 2_000


class Server(http.server.ThreadingHTTPServer):
    """Gives each request the next of some answers: a status, or `short` for a body that ends too early."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[int | str] = []
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/file"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        server: Any = self.server
        server.requests.append(self.headers["User-Agent"])
        answer = server.answers.pop(0)
        self.send_response(200 if answer == "short" else answer)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT[: len(CONTENT) // 2] if answer == "short" else CONTENT)

    def log_message(self, *_arguments: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between attempts. They take no time."""
    pauses: list[float] = []
    monkeypatch.setattr(web.time, "sleep", pauses.append)
    return pauses


@pytest.fixture(params=["standard library", "requests"])
def session(request: pytest.FixtureRequest) -> Iterator[requests.Session | None]:
    if request.param == "requests":
        with requests.Session() as session:
            yield session
    else:
        yield None


def test_a_file_that_is_refused_or_incomplete_is_tried_again(
    server: Server, pauses: list[float], session: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.answers = [404, 503, "short", 200]
    path = tmp_path / "file"
    assert get_web_data(server.url, "toil", path, session) is None
    assert path.read_bytes() == CONTENT
    assert [file.name for file in tmp_path.iterdir()] == ["file"]
    assert pauses == [2, 4, 8]
    lines = [record.getMessage() for record in caplog.records if record.name == "toil"]
    assert "404" in lines[0] and lines[0].startswith("received ") and lines[0].endswith(f" from {server.url}")
    assert lines[1::2] == [
        "waiting 2 seconds until retry 1",
        "waiting 4 seconds until retry 2",
        "waiting 8 seconds until retry 3",
    ]


def test_without_a_path_the_content_is_returned(server: Server, session: Any) -> None:
    server.answers = [200]
    assert get_web_data(server.url, "toil", session=session) == CONTENT


def test_the_pauses_end_after_an_hour(
    server: Server, pauses: list[float], session: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server.answers = [404] * 100
    with pytest.raises(WorkerError):
        get_web_data(server.url, "toil", session=session)
    assert pauses[:9] == [2, 4, 8, 16, 32, 64, 128, 256, 256]
    assert max(pauses) == 256
    assert 3_300 < sum(pauses) < 3_900
    expected = f"giving up; download from {server.url} failed {len(server.requests)} times"
    assert caplog.messages[-1] == expected
    assert len(server.requests) == len(pauses) + 1


def test_what_was_there_stays_until_the_new_file_is_whole(
    server: Server, pauses: list[float], session: Any, tmp_path: Path
) -> None:
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_bytes(b"earlier")
    path.chmod(0o640)
    link.symlink_to(path)
    server.answers = ["short"]
    with pytest.raises(WorkerError):
        get_web_data(server.url, "toil", link, session, wait_exponential_max=1)
    assert path.read_bytes() == b"earlier"
    server.answers = [200]
    get_web_data(server.url, "toil", str(link), session)
    assert path.read_bytes() == CONTENT
    assert path.stat().st_mode & 0o777 == 0o640
    assert link.is_symlink()
    assert sorted(os.listdir(tmp_path)) == ["file", "link"]
    assert pauses == []


def test_a_file_that_cannot_be_written_is_not_tried_again(
    server: Server, pauses: list[float], session: Any, tmp_path: Path
) -> None:
    server.answers = [200, 200, 200]
    with pytest.raises(WorkerError, match="gone/file cannot be written: .* No such file or directory"):
        get_web_data(server.url, "toil", tmp_path / "gone/file", session)
    with pytest.raises(WorkerError, match="is not a regular file"):
        get_web_data(server.url, "toil", tmp_path, session)
    assert len(server.requests) == 2
    assert pauses == []


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://localhost/file", "localhost/file", ""])
def test_other_addresses_than_those_of_the_web_are_refused(url: str) -> None:
    with pytest.raises(WorkerError, match="invalid address .*; write it as https://host/path"):
        get_web_data(url, "toil")
