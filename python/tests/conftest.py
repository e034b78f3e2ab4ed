"""What the tests share. They need the program nowcast: ``NOWCAST`` is its path."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from system import System


def pytest_configure() -> None:
    program = os.environ.get("NOWCAST", "")
    if not os.access(program, os.X_OK):
        pytest.exit("set NOWCAST to the path of the program nowcast, such as target/debug/nowcast", returncode=2)
    os.environ["NOWCAST"] = os.path.abspath(program)


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    """A system that does not run yet."""
    system = System(tmp_path)
    yield system
    system.close()
