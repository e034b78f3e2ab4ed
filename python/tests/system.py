"""A nowcast system in a folder of its own, with the real broker and manager."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import yaml

#: Seconds until a condition must hold. Long enough for a loaded machine; reached only by a test that fails.
DEADLINE = 60.0

#: The source of the package.
SOURCE = Path(__file__).parent.parent / "src"

#: The time at the beginning of a line.
_TIME = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ", re.MULTILINE)

_RULES = "function after_toil(msg, config, checklist) return {} end\n"

_CONFIG = """
checklist file: {folder}/checklist.yaml
python: {python}
logging:
  version: 1
  disable_existing_loggers: False
  formatters:
    simple: {{format: '%(asctime)s %(levelname)s [%(name)s] %(message)s'}}
  handlers:
    console: {{class: logging.StreamHandler, level: {console}, formatter: simple, stream: ext://sys.stdout}}
    file: {{class: logging.handlers.RotatingFileHandler, level: DEBUG, formatter: simple, filename: {folder}/nowcast.log, backupCount: 3}}
  root: {{level: DEBUG, handlers: [console, file]}}
zmq:
  host: localhost
  ports: {{manager: {manager}, workers: {workers}}}
message registry:
  manager:
    ack: message acknowledged
    checklist cleared: system checklist cleared
    unregistered worker: ERROR - message received from unregistered worker
    unregistered message type: ERROR - unregistered message type received from worker
    no after_worker function: ERROR - after_worker function not found in next_workers module
  next workers module: next_workers
  workers:
    toil:
      checklist key: work
      success: it is done
      success 06: it is done at 6
      halfway: half of it is done
      failure: it failed
      crash: it crashed
      need: it asks
      clear checklist: it clears the checklist
{more}
"""


def free_port() -> int:
    """Return a free port. A lock file keeps it from other tests, those in Rust included, while this process lives."""
    folder = Path(os.environ.get("TMPDIR", "/tmp")) / "nowcast-test-ports"
    folder.mkdir(exist_ok=True)
    while True:
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            port: int = listener.getsockname()[1]
        # Never closed.
        lock = os.open(folder / str(port), os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            continue
        return port


T = TypeVar("T")


def wait_for(what: str, ask: Callable[[], T], explain: Callable[[], str] = str) -> T:
    """Call a function until it returns something true."""
    end = time.monotonic() + DEADLINE
    while True:
        answer = ask()
        if answer:
            return answer
        assert time.monotonic() < end, f"timeout while waiting for {what}\n{explain()}"
        time.sleep(0.005)


def without_times(text: str) -> str:
    """Return log lines without their times."""
    return _TIME.sub("", text)


class System:
    """A system in its folder. `close` stops its programs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manager_port, self.workers_port = free_port(), free_port()
        #: Further sections of the configuration.
        self.more = ""
        #: The level of the console's lines.
        self.console = "DEBUG"
        self.environment: dict[str, str] = {}
        self.programs: dict[str, subprocess.Popen[bytes]] = {}
        (folder / "rules").mkdir()
        (folder / "rules/next_workers.lua").write_text(_RULES)
        self.write_config()

    @property
    def config(self) -> Path:
        return self.folder / "nowcast.yaml"

    def write_config(self) -> None:
        values = {"folder": self.folder, "python": sys.executable, "console": self.console, "more": self.more}
        self.config.write_text(_CONFIG.format(manager=self.manager_port, workers=self.workers_port, **values))

    def write_worker(self, body: str, name: str = "toil", *, cli: str = "") -> None:
        """Write a worker's module. `body` is that of its function, with `parsed_args`, `config` and `tell_manager`."""
        indented = "".join(f"    {line}\n" for line in body.strip().splitlines())
        (self.folder / f"{name}.py").write_text(
            f'"""A worker of a test."""\n'
            "import datetime, logging, os, signal, sys, time\n"
            "from pathlib import Path\n"
            "from nowcast_worker import NowcastWorker, WorkerError, need, tell\n"
            f"logger = logging.getLogger({name!r})\n"
            f"worker = NowcastWorker({name!r}, description=__doc__, package='tests')\n"
            "worker.init_cli()\n"
            f"{cli}\n"
            f"def work(parsed_args, config, tell_manager):\n{indented}"
            "def success(parsed_args):\n    logger.info('well done')\n    return 'success'\n"
            "def failure(parsed_args):\n    logger.critical('badly done')\n    return 'failure'\n"
            "if __name__ == '__main__':\n    worker.run(work, success, failure)\n"
        )

    def environ(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("NOWCAST", "PYTEST", "SENTRY"))}
        paths = os.pathsep.join([str(SOURCE), str(self.folder)])
        return {**kept, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1", **self.environment}

    def spawn(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        """Start a program under a name. Its output goes to ``NAME.out``."""
        with open(self.folder / f"{name}.out", "ab") as out:
            program = subprocess.Popen(
                command, cwd=self.folder, env=self.environ(), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
            )
        self.programs[name] = program
        return program

    def nowcast(self, *arguments: str) -> str:
        """Run a command of nowcast and return its output."""
        done = subprocess.run(
            [os.environ["NOWCAST"], *arguments],
            cwd=self.folder,
            env=self.environ(),
            capture_output=True,
            text=True,
            timeout=DEADLINE,
        )
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}\n{self.describe()}"
        return done.stdout

    def start(self) -> None:
        """Start broker and manager."""
        self.start_broker()
        self.start_manager()

    def start_broker(self) -> None:
        before = self.log("broker").count("manager socket bound")
        self.spawn("broker", [os.environ["NOWCAST"], "broker", "nowcast.yaml"])
        self.wait_for_log("broker", "manager socket bound", before + 1)

    def start_manager(self) -> None:
        before = self.log("manager").count("listening...")
        self.spawn("manager", [os.environ["NOWCAST"], "manager", "nowcast.yaml"])
        self.wait_for_log("manager", "listening...", before + 1)

    def start_worker(self, *arguments: str, name: str = "toil") -> subprocess.Popen[bytes]:
        """Start a worker's module."""
        return self.spawn(name, [sys.executable, "-m", name, "nowcast.yaml", *arguments])

    def run_worker(self, *arguments: str, name: str = "toil", status: int = 0) -> str:
        """Run a worker's module to its end and return its output."""
        before = len(self.log(name))
        self.start_worker(*arguments, name=name)
        self.wait_for_end(name, status)
        return self.log(name)[before:]

    def wait_for_end(self, name: str, status: int = 0) -> None:
        """Wait until a program exits with this status."""
        program = self.programs[name]
        self.wait_for(f"the end of {name}", lambda: program.poll() is not None)
        assert program.returncode == status, self.describe()

    def kill(self, name: str) -> None:
        self.programs[name].kill()
        self.programs[name].wait()

    def signal(self, name: str, number: signal.Signals) -> None:
        self.programs[name].send_signal(number)

    def log(self, name: str) -> str:
        """Return the output of a program so far."""
        file = self.folder / f"{name}.out"
        return file.read_text(errors="replace") if file.exists() else ""

    def wait_for_log(self, name: str, text: str, count: int = 1) -> None:
        """Wait until a program has written a text so many times."""
        self.wait_for(f"{count} × {text!r} from {name}", lambda: self.log(name).count(text) >= count)

    def wait_for(self, what: str, ask: Callable[[], T]) -> T:
        return wait_for(what, ask, self.describe)

    def checklist(self) -> Any:
        """Return the checklist that the manager has."""
        return yaml.safe_load(self.nowcast("checklist", "show"))

    def describe(self) -> str:
        """Return the output of all programs, for failed tests."""
        return "\n".join(f"== {file.name}\n{file.read_text(errors='replace')}" for file in sorted(self.folder.glob("*.out")))

    def close(self) -> None:
        for program in self.programs.values():
            program.kill()
            program.wait()
        # Runners outlive their manager by design.
        for file in Path("/proc").glob("[0-9]*/cwd"):
            try:
                if file.readlink() == self.folder:
                    os.kill(int(file.parent.name), signal.SIGKILL)
            except OSError:
                continue
