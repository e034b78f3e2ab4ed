"""Log messages reach the real log aggregator, and only those may read them that the configuration names."""

from __future__ import annotations

import logging
import logging.config
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from system import System, free_port, without_times

from nowcast_worker import Config
from nowcast_worker.logs import log_addresses, set_up

LOGGING = """
aggregator:
  version: 1
  disable_existing_loggers: False
  formatters:
    simple: {{format: '%(asctime)s %(levelname)s [%(logger_name)s] %(message)s'}}
  handlers:
    text: {{class: logging.handlers.RotatingFileHandler, level: DEBUG, formatter: simple, filename: {folder}/all.log, backupCount: 3}}
  root: {{level: DEBUG, handlers: [text]}}
publisher:
  version: 1
  disable_existing_loggers: False
  formatters:
    simple: {{format: '%(asctime)s %(levelname)s [%(name)s] %(message)s'}}
  handlers:
    console: {{class: logging.StreamHandler, level: 100, formatter: simple, stream: ext://sys.stdout}}
    zmq_pub: {{class: zmq.log.handlers.PUBHandler, level: DEBUG, formatter: simple}}
  root: {{level: DEBUG, handlers: [console, zmq_pub]}}
"""

SUBSCRIBER = """
import sys, zmq
socket = zmq.Context().socket(zmq.SUB)
socket.subscribe(b"")
socket.connect(f"tcp://127.0.0.1:{sys.argv[1]}")
print("ready", flush=True)
while True:
    print(socket.recv_multipart(), flush=True)
"""


class Distributed:
    """A system with distributed logging."""

    def __init__(self, system: System, **security: Any) -> None:
        self.system = system
        self.port = free_port()
        content = yaml.safe_load(system.config.read_text())
        content["logging"] = yaml.safe_load(LOGGING.format(folder=system.folder))
        ports = {"message_broker": free_port(), "manager": free_port(), "workers": [self.port]}
        content["zmq"]["ports"]["logging"] = ports
        content["security"] = security
        system.config.write_text(yaml.safe_dump(content, sort_keys=False))

    def start(self, *daemons: str) -> None:
        """Start daemons. Workers and publishers wait until they are ready."""
        for daemon in daemons:
            self.system.spawn(daemon, [os.environ["NOWCAST"], daemon, "nowcast.yaml"])

    def lines(self) -> list[str]:
        """Return the worker's lines at the aggregator."""
        file = self.system.folder / "all.log"
        text = without_times(file.read_text()) if file.exists() else ""
        return [line for line in text.splitlines() if " [toil] " in line]


def test_the_log_aggregator_gets_all_lines_of_a_worker(system: System) -> None:
    distributed = Distributed(system)
    distributed.start("broker", "manager", "log-aggregator")
    # pyzmq's PUBHandler takes `::` for a topic; a level without a name is not published.
    system.write_worker("logger.warning('größer 海 – std::io::Error %s', '%d')\nlogger.log(15, 'between')\nreturn {'hours': 5}")
    system.run_worker()
    number = system.programs["toil"].pid
    expected = [
        f"INFO [toil] running in process {number}",
        "INFO [toil] read config from nowcast.yaml",
        f"INFO [toil] publishing log messages to tcp://127.0.0.1:{distributed.port}",
        f"INFO [toil] connected to localhost port {system.workers_port}",
        "WARNING [toil] größer 海 – std::io::Error %d",
        "INFO [toil] well done",
        "DEBUG [toil] sent message: (success) it is done",
        "DEBUG [toil] received message from manager: (ack) message acknowledged",
        "DEBUG [toil] shutting down",
    ]
    system.wait_for(f"the lines {distributed.lines()}", lambda: distributed.lines() == expected)
    assert system.log("toil") == ""


def test_a_worker_without_a_free_port_shows_its_lines_on_standard_error(system: System) -> None:
    distributed = Distributed(system)
    distributed.start("broker", "manager")
    system.write_worker("return {'hours': 5}")
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", distributed.port))
        holder.listen()
        log = system.run_worker()
    free = (
        f"none of the ports for the log messages of toil is free (tcp://127.0.0.1:{distributed.port}); they are shown on stderr"
    )
    assert f"WARNING [toil] {free} (zmq: ports: logging)\n" in log
    assert "INFO [toil] well done" in log


@pytest.fixture
def own_logging() -> Iterator[None]:
    """Takes the handlers away that a test sets up in this process."""
    yield
    nothing = {"handlers": []}
    logging.config.dictConfig({"version": 1, "disable_existing_loggers": False, "root": nothing, "loggers": {"checklist": nothing}})


@pytest.mark.usefixtures("own_logging")
def test_a_worker_follows_the_rotation_of_the_default_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOWCAST_LOGS", str(tmp_path))
    (tmp_path / "nowcast.yaml").write_text("message registry: {workers: {plot: }}")
    config = Config()
    config.load(tmp_path / "nowcast.yaml")
    set_up(config, "plot", debug=False)
    logging.getLogger("plot").info("before")
    (tmp_path / "nowcast.log").rename(tmp_path / "nowcast.log.1")
    logging.getLogger("plot").info("after")
    assert (tmp_path / "nowcast.log.1").read_text().endswith("INFO [plot] before\n")
    assert (tmp_path / "nowcast.log").read_text().endswith("INFO [plot] after\n")


def test_debug_publishes_nothing_and_binds_no_port(system: System) -> None:
    distributed = Distributed(system)
    system.write_worker(
        f"import zmq\nzmq.Context.instance().socket(zmq.PUB).bind('tcp://127.0.0.1:{distributed.port}')\nlogger.info('bound')"
    )
    log = system.run_worker("--debug")
    assert "INFO [toil] bound" in log
    assert "publishing" not in log
    # A worker that publishes has the port.
    distributed.start("broker", "manager", "log-aggregator")
    system.run_worker()
    system.wait_for("the crash", lambda: any("unhandled exception" in line for line in distributed.lines()))


@pytest.mark.parametrize(("networks", "is_admitted"), [([], False), (["127.0.0.0/8"], True)])
def test_log_messages_go_to_networks_that_are_allowed(system: System, networks: list[str], is_admitted: bool) -> None:
    distributed = Distributed(system, allow={"logging": networks})
    distributed.start("broker", "manager")
    system.spawn("subscriber", [sys.executable, "-c", SUBSCRIBER, str(distributed.port)])
    system.wait_for_log("subscriber", "ready")
    system.write_worker("logger.info('at work')")
    system.run_worker()
    # The worker has waited a second for it.
    if is_admitted:
        system.wait_for_log("subscriber", "[b'toil.INFO', b'at work\\n']")
    else:
        system.kill("subscriber")
        assert system.log("subscriber") == "ready\n"


def test_with_keys_all_connections_are_encrypted(system: System) -> None:
    distributed = Distributed(system, curve={"keys": "keys"})
    system.nowcast("keys")
    distributed.start("broker", "manager", "log-aggregator")
    system.spawn("subscriber", [sys.executable, "-c", SUBSCRIBER, str(distributed.port)])
    system.wait_for_log("subscriber", "ready")
    system.write_worker("logger.info('at work')\nreturn {'hours': 5}")
    system.run_worker()
    system.wait_for("its last line", lambda: "DEBUG [toil] shutting down" in distributed.lines())
    assert "INFO [toil] at work" in distributed.lines()
    assert system.checklist() == {"work": {"hours": 5}}
    system.kill("subscriber")
    assert system.log("subscriber") == "ready\n"


@pytest.fixture
def keys(system: System) -> Path:
    """The keys of a system that logs to the console."""
    system.more = "security: {curve: {keys: keys}}"
    system.write_config()
    system.nowcast("keys")
    system.write_worker("return {'hours': 5}")
    return system.folder / "keys"


def test_a_worker_whose_key_is_not_authorized_says_so_and_ends(system: System, keys: Path) -> None:
    (keys / "authorized/client.key").unlink()
    system.start_broker()
    log = system.run_worker(status=1)
    address = f"tcp://localhost:{system.workers_port}"
    assert f"ERROR [toil] the message broker at {address} rejects this program: `security:` in the broker's configuration" in log


def test_a_secret_key_must_be_secret_and_there(system: System, keys: Path) -> None:
    secret = keys / "client.key_secret"
    secret.chmod(0o640)
    log = system.run_worker(status=2)
    assert f"cannot connect to the message broker: the key file {secret} can be read by others: run chmod 600 on it" in log
    secret.unlink()
    log = system.run_worker(status=2)
    assert f"cannot connect to the message broker: the key file {secret} cannot be read:" in log
    assert "`nowcast keys` makes key files" in log
    (keys / "client.key").rename(secret)
    secret.chmod(0o600)
    assert f"the key file {secret} has no secret key" in system.run_worker(status=2)


@pytest.mark.parametrize(
    ("host", "more", "name", "addresses"),
    [
        ("localhost", {}, "toil", ["tcp://127.0.0.1:5562", "tcp://127.0.0.1:5563"]),
        ("127.0.0.2", {}, "toil", ["tcp://127.0.0.2:5562", "tcp://127.0.0.2:5563"]),
        ("skookum", {}, "toil", ["tcp://*:5562", "tcp://*:5563"]),
        ("10.0.5.17", {"bind": "10.0.5.1"}, "one", ["tcp://10.0.5.1:5564"]),
        ("localhost", {}, "run_NEMO", ["tcp://*:5556"]),
    ],
)
def test_a_worker_publishes_where_the_configuration_says(
    host: str, more: dict[str, str], name: str, addresses: list[str]
) -> None:
    ports = {"workers": [5562, 5563], "one": 5564, "run_NEMO": ["salish:5556", "210.15.47.113:5556"]}
    config = Config()
    config["zmq"] = {"host": host, "ports": {"logging": ports}, **more}
    assert log_addresses(config, name) == addresses
    config["security"] = {"bind": {"logging": "10.9.9.9"}}
    assert {address.split(":")[1] for address in log_addresses(config, name)} == {"//10.9.9.9"}
