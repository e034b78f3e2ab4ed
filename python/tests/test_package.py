"""The package can be built and installed, and its type hints hold."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def run(folder: Path, *arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", *arguments], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_wheel_has_the_modules_and_what_tells_that_they_are_typed(tmp_path: Path) -> None:
    # A build leaves files beside the source.
    shutil.copytree(ROOT, tmp_path / "python", ignore=shutil.ignore_patterns("tests", "example"))
    wheels = tmp_path / "wheels"
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    run(tmp_path, "pip", "wheel", *offline, "--wheel-dir", str(wheels), "./python")
    (wheel,) = wheels.iterdir()
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = (archive.read(name).decode() for name in names if name.endswith("/METADATA"))
    modules = {f"nowcast_worker/{file.name}" for file in (ROOT / "src/nowcast_worker").iterdir() if file.is_file()}
    assert "nowcast_worker/py.typed" in modules
    assert {name for name in names if ".dist-info/" not in name} == modules
    assert any(name.endswith("/LICENSE") for name in names)
    required = [line for line in metadata.splitlines() if line.startswith("Requires-Dist:") and "extra" not in line]
    assert required == ["Requires-Dist: PyYAML>=5.4", "Requires-Dist: pyzmq>=22.3"]


def test_the_package_has_the_version_of_nowcast() -> None:
    def version(file: Path) -> str:
        (line,) = (line for line in file.read_text().splitlines() if line.startswith("version = "))
        return line

    assert version(ROOT / "pyproject.toml") == version(ROOT.parent / "Cargo.toml")


def test_the_type_hints_hold() -> None:
    run(ROOT, "mypy", "--cache-dir", "/dev/null", "src")
