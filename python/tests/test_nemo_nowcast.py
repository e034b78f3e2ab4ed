"""The package beside NEMO_Nowcast: its interface, its daemons, and what its workers log.

Tests beside NEMO_Nowcast itself need ``NEMO_NOWCAST_PYTHON``, a Python interpreter that can import ``nemo_nowcast``. The others have what
was read from it, and daemons in plain pyzmq that do what its daemons do.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from system import SOURCE, System, without_times

FOLDER = Path(__file__).parent

NEMO_PYTHON = os.environ.get("NEMO_NOWCAST_PYTHON", "")

beside_nemo_nowcast = pytest.mark.skipif(not NEMO_PYTHON, reason="NEMO_NOWCAST_PYTHON is not set")

#: Parameters that only NEMO_Nowcast itself uses.
PRIVATE = {"parsed_args", "context", "socket"}

#: As in NEMO_Nowcast: a ROUTER and a DEALER with a proxy between them.
BROKER = """
import sys, zmq
context = zmq.Context()
workers, manager = context.socket(zmq.ROUTER), context.socket(zmq.DEALER)
workers.bind(f"tcp://127.0.0.1:{sys.argv[1]}")
manager.bind(f"tcp://127.0.0.1:{sys.argv[2]}")
print("bound", flush=True)
zmq.proxy(workers, manager)
"""

#: As in NEMO_Nowcast: a REP that looks at three keys of a message, and acknowledges everything.
MANAGER = """
import sys, yaml, zmq
socket = zmq.Context().socket(zmq.REP)
socket.connect(f"tcp://localhost:{sys.argv[1]}")
checklist = {}
while True:
    message = yaml.safe_load(socket.recv_string())
    print(f"received {message['type']}", flush=True)
    payload = checklist[message["payload"]] if message["type"] == "need" else None
    if message["type"] != "need" and message["payload"] is not None:
        checklist.setdefault("work", {}).update(message["payload"])
    socket.send_string(yaml.dump({"source": "manager", "type": "ack", "payload": payload}))
"""


def printed(python: str, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE)}
    return subprocess.run([python, *arguments], env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=60).stdout


def api(python: str, package: str) -> Any:
    return json.loads(printed(python, str(FOLDER / "api.py"), package))


def frozen_api() -> Any:
    return json.loads((FOLDER / "nemo_nowcast_api.json").read_text())


def has_parameters(ours: str, theirs: str) -> bool:
    """Return whether a call that is good for theirs means the same to ours. Ours can have more at the end."""
    expected = [parameter for parameter in theirs.split() if parameter.split("=")[0] not in PRIVATE]
    found = ours.split()
    if len(found) < len(expected) or any("=" not in more and "*" not in more for more in found[len(expected) :]):
        return False
    # A default that is made, such as a new list, is None in ours where that means the same.
    return all(mine == yours or (yours.endswith("=…") and mine.startswith(yours[:-1])) for mine, yours in zip(found, expected))


def test_every_class_and_function_can_be_used_as_in_nemo_nowcast() -> None:
    ours, theirs = api(sys.executable, "nowcast_worker"), frozen_api()
    for name, members in theirs["interface"].items():
        for member, expected in members.items():
            assert member in ours["interface"][name], f"{name}.{member} is missing"
            assert has_parameters(ours["interface"][name][member], expected), (
                f"{name}.{member}: {ours['interface'][name][member]}"
            )
    for name, expected in theirs["attributes"].items():
        assert set(expected.split()) <= set(ours["attributes"][name].split()), name


@beside_nemo_nowcast
def test_the_interface_that_was_read_is_that_of_nemo_nowcast() -> None:
    assert api(NEMO_PYTHON, "nemo_nowcast") == frozen_api()


def start_plain_daemons(system: System) -> None:
    ports = [str(system.workers_port), str(system.manager_port)]
    system.spawn("broker", [sys.executable, "-c", BROKER, *ports])
    system.wait_for_log("broker", "bound")
    system.spawn("manager", [sys.executable, "-c", MANAGER, ports[1]])


def start_nemo_nowcast(system: System) -> None:
    rules = "def after_toil(msg, config, checklist):\n    return []\n"
    (system.folder / "next_workers.py").write_text(rules)
    for daemon, module in (("broker", "message_broker"), ("manager", "manager")):
        system.spawn(daemon, [NEMO_PYTHON, "-m", f"nemo_nowcast.{module}", "nowcast.yaml"])


@pytest.mark.parametrize("start", [start_plain_daemons, pytest.param(start_nemo_nowcast, marks=beside_nemo_nowcast)])
def test_a_worker_works_with_other_daemons(system: System, start: Any) -> None:
    start(system)
    system.write_worker("tell('halfway', {'hours': 5})\nlogger.info(f'seen: {need(\"work\", \"hours\")}')\nreturn {'hours': 6}")
    log = system.run_worker()
    for text in ("(halfway) half of it is done", "INFO [toil] seen: 5", "sent message: (success)", "manager: (ack)"):
        assert text in log
    assert system.log("manager").count("received") == 3


@beside_nemo_nowcast
@pytest.mark.parametrize(
    "body",
    [
        "logger.warning('at work')\nreturn {'hours': 5}",
        "raise WorkerError",
        "tell_manager('halfway', [1])\nraise ValueError('no reason')",
        "tell_manager('a third')",
    ],
)
@pytest.mark.parametrize("arguments", [[], ["--debug"]])
def test_a_worker_logs_the_lines_of_nemo_nowcast(system: System, body: str, arguments: list[str]) -> None:
    system.start()
    system.write_worker(body)
    ours = system.run_worker(*arguments)
    module = system.folder / "toil.py"
    module.write_text(module.read_text().replace("nowcast_worker", "nemo_nowcast").replace(", need, tell", ""))
    system.spawn("theirs", [NEMO_PYTHON, "-m", "toil", "nowcast.yaml", *arguments])
    system.wait_for_end("theirs")

    def lines(log: str) -> list[str]:
        log = re.sub(r"process \d+", "process N", without_times(log))
        # Not the lines of a traceback.
        found = [line for line in log.splitlines() if re.match(r"(DEBUG|INFO|WARNING|ERROR|CRITICAL) \[|ValueError", line)]
        # NEMO_Nowcast does not log the text of a WorkerError.
        return [line for line in found if not line.startswith("ERROR [toil] message type not found")]

    assert lines(ours) == lines(system.log("theirs"))
    assert len(lines(ours)) >= 5


PAUSES = """
import sys, time
import {package}.{module} as module
import {package}
pauses = []
time.sleep = pauses.append
class Session:
    def get(self, *args, **options):
        raise ConnectionError
for options in ({{}}, {{"wait_exponential_multiplier": 3, "wait_retry_max": 20, "wait_exponential_max": 100}}):
    try:
        {package}.get_web_data("http://localhost/", "toil", session=Session(), **options)
    except {package}.WorkerError:
        pauses.append("end")
print(pauses)
"""


@beside_nemo_nowcast
def test_downloads_are_tried_again_after_the_same_pauses() -> None:
    theirs = printed(NEMO_PYTHON, "-c", PAUSES.format(package="nemo_nowcast", module="worker"))
    ours = printed(sys.executable, "-c", PAUSES.format(package="nowcast_worker", module="web"))
    assert ours == theirs
    assert ours.count("end") == 2


@beside_nemo_nowcast
def test_a_worker_of_nemo_nowcast_reads_what_the_configuration_includes(system: System) -> None:
    (system.folder / "forcing.yaml").write_text("forcing: {rivers: fraser}\n")
    system.more = f"include: forcing.yaml\nrun: {{enabled hosts: {{}}}}"
    system.write_config()
    text = system.config.read_text().replace(f"python: {sys.executable}", f"python: {NEMO_PYTHON}")
    system.config.write_text(text)
    system.write_worker("return {'rivers': config['forcing']['rivers']}")
    module = system.folder / "toil.py"
    module.write_text(module.read_text().replace("nowcast_worker", "nemo_nowcast").replace(", need, tell", ""))
    system.start()
    system.nowcast("launch", "toil")
    system.wait_for("its message", lambda: (system.checklist() or {}).get("work") == {"rivers": "fraser"})
