"""Workers report to the real manager how their work ended."""

from __future__ import annotations

import json
import signal
import sys

import pytest
from system import System, without_times

NEED_AND_TELL = """
hours = need("work", "hours")
last = worker.need("work", "names", 1)
missing = [need("gone", default="none"), need("work", "hours", "x", default=0), need("work", "names", 7, default=None)]
acknowledged = tell("halfway", {"hours": hours + 1, "last": last, "missing": missing})
reply = tell_manager("halfway", {"acknowledged": acknowledged})
assert (reply.source, reply.type, reply.payload) == ("manager", "ack", None), reply
need("work", "names", "first")
"""


def test_success_sends_the_returned_payload(system: System) -> None:
    system.start()
    system.write_worker("return {'00': '2026-03-14', 'files': {'b', 'a'}, 'day': datetime.date(2026, 3, 14)}")
    log = without_times(system.run_worker())
    number = system.programs["toil"].pid
    assert log.splitlines() == [
        f"INFO [toil] running in process {number}",
        "INFO [toil] read config from nowcast.yaml",
        "INFO [toil] writing log messages to local file system",
        f"INFO [toil] connected to localhost port {system.workers_port}",
        "INFO [toil] well done",
        "DEBUG [toil] sent message: (success) it is done",
        "DEBUG [toil] received message from manager: (ack) message acknowledged",
        "DEBUG [toil] shutting down",
    ]
    work = system.checklist()["work"]
    assert (work["00"], work["files"], work["day"].isoformat()) == ("2026-03-14", {"a", "b"}, "2026-03-14")


def test_a_worker_error_sends_the_failure_type_without_a_payload(system: System) -> None:
    system.start()
    system.write_worker("raise WorkerError('the gauge did not respond')")
    log = without_times(system.run_worker())
    assert "ERROR [toil] the gauge did not respond\nCRITICAL [toil] badly done\n" in log
    assert "sent message: (failure) it failed" in log
    assert not system.checklist()


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("{}['key']", "KeyError: 'key'"),
        # NEMO_Nowcast sends this, and its manager exits.
        ("return {'path': Path('/tmp')}", "yaml.representer.RepresenterError"),
        ("tell_manager('halfway', object())", "yaml.representer.RepresenterError"),
    ],
)
def test_any_other_exception_is_a_crash_with_its_traceback(system: System, body: str, reason: str) -> None:
    system.start()
    system.write_worker(body)
    log = system.run_worker()
    assert "CRITICAL [toil] unhandled exception:\nTraceback (most recent call last):" in log
    assert reason in log
    assert "sent message: (crash) it crashed" in log
    assert "well done" not in log or "Path" in body
    assert not system.checklist()


def test_need_and_tell_talk_to_the_manager_while_the_worker_runs(system: System) -> None:
    system.start()
    system.nowcast("send", "toil", "success", "{hours: 5, names: [a, '07']}")
    system.write_worker(NEED_AND_TELL)
    log = system.run_worker()
    assert "ERROR [toil] the checklist has no 'work' / 'names' / 'first'" in log
    assert "sent message: (failure) it failed" in log
    work = system.checklist()["work"]
    assert (work["hours"], work["last"], work["missing"]) == (6, "07", ["none", 0, None])
    assert work["acknowledged"] is None


def test_debug_logs_to_the_console_and_sends_nothing(system: System) -> None:
    system.console = "100"
    system.write_config()
    system.write_worker("tell_manager('halfway', 1)\nlogger.info(need('work', default=7))\nneed('work')")
    log = without_times(system.run_worker("--debug"))
    assert log.splitlines()[2:] == [
        "DEBUG [toil] **debug mode** no connection to manager",
        "DEBUG [toil] **debug mode** message that would have been sent to manager: (halfway half of it is done)",
        "DEBUG [toil] **debug mode** message that would have been sent to manager: (need it asks)",
        "INFO [toil] 7",
        "DEBUG [toil] **debug mode** message that would have been sent to manager: (need it asks)",
        "ERROR [toil] --debug asks no manager for 'work'; give a default",
        "CRITICAL [toil] badly done",
        "DEBUG [toil] **debug mode** message that would have been sent to manager: (failure it failed)",
        "DEBUG [toil] shutting down",
    ]
    assert (system.folder / "nowcast.log").read_text() == ""


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (signal.SIGINT, "interrupt signal (SIGINT or Ctrl-C) received; shutting down"),
        (signal.SIGTERM, "termination signal (SIGTERM) received; shutting down"),
    ],
)
@pytest.mark.parametrize("body", ["logger.info('at work')\nsignal.pause()", "logger.info('at work')"])
def test_a_signal_ends_a_worker_at_work_and_one_that_waits_for_its_reply(
    system: System, body: str, number: signal.Signals, text: str
) -> None:
    # There is no manager, so no reply comes.
    system.write_worker(body)
    system.start_worker()
    system.wait_for_log("toil", "at work" if "pause" in body else "sent message: (success)")
    system.signal("toil", number)
    system.wait_for_end("toil")
    assert without_times(system.log("toil")).endswith(f"INFO [toil] {text}\nDEBUG [toil] shutting down\n")


def test_a_message_names_its_run_and_its_cycle(system: System) -> None:
    system.start()
    # The earlier run reports last, so that only the number tells whose message it is.
    system.write_worker(
        "run = os.environ['NOWCAST_RUN_ID']\nPath('run ' + run).touch()\n"
        "while not Path('end ' + run).exists():\n    time.sleep(0.01)\n"
        "if len(list(Path().glob('end *'))) == 2:\n    raise WorkerError\nreturn {'run': run}"
    )
    for _ in range(2):
        system.nowcast("launch", "--cycle", "2026-03-14", "toil")
    system.wait_for("both runs", lambda: len(list(system.folder.glob("run *"))) == 2)
    first, second = sorted(int(file.name[4:]) for file in system.folder.glob("run *"))
    for count, run in enumerate([second, first], 1):
        (system.folder / f"end {run}").touch()
        system.wait_for_log("manager", "received message from toil", count)
    messages = json.loads(system.nowcast("messages", "--json"))
    assert [(message["type"], message["run"], message["cycle"]) for message in messages] == [
        ("failure", first, "2026-03-14"),
        ("success", second, "2026-03-14"),
    ]
    assert system.checklist() == {"work": {"run": str(second)}}


def test_a_worker_that_is_started_by_hand_reports_for_the_cycle_of_its_environment(system: System) -> None:
    system.start()
    system.write_worker("return 1")
    for cycle in ("2026-03-14T06", "", "not a cycle"):
        system.environment["NOWCAST_CYCLE"] = cycle
        assert "(ack) message acknowledged" in system.run_worker()
    messages = json.loads(system.nowcast("messages", "--json"))
    assert [message["cycle"] for message in messages] == [None, None, "2026-03-14T06"]


def test_a_message_that_the_managers_registry_lacks_ends_well_and_one_that_the_own_registry_lacks_does_not(
    system: System,
) -> None:
    system.start()
    text = system.config.read_text()
    system.config.write_text(text.replace("      halfway", "      a third: a third is done\n      halfway"))
    system.write_worker("logger.info(tell_manager('a third').type)")
    log = system.run_worker()
    assert "INFO [toil] unregistered message type" in log
    assert "sent message: (success)" in log
    system.write_worker("tell('a third')")
    log = system.run_worker()
    assert "ERROR [toil] the manager refused the message of toil: unregistered message type" in log
    assert "sent message: (failure)" in log
    system.write_worker("logger.info(tell_manager('a third').type)")
    system.config.write_text(text.replace("success:", "successful:"))
    missing = "message type not found for toil worker in nowcast.yaml message registry: success"
    system.write_worker("return 1")
    assert f"ERROR [toil] {missing}\n" in without_times(system.run_worker(status=1))
    system.config.write_text(text.replace("toil:", "rest:"))
    missing = "worker not found in nowcast.yaml message registry: toil"
    assert f"ERROR [toil] {missing}\n" in without_times(system.run_worker(status=1))


def test_a_message_over_the_limit_is_refused_with_both_sizes(system: System) -> None:
    system.more = "security: {limits: {message size: 1000}}"
    system.write_config()
    system.start()
    system.write_worker("tell('halfway', 'x' * 2000)")
    log = system.run_worker()
    assert "ERROR [toil] the message has 2" in log
    assert "bytes, and may have 1000; put large data into a file" in log
    assert "sent message: (failure) it failed" in log


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (None, "No such file or directory: 'nowcast.yaml'"),
        ("- a list", "nowcast.yaml: nowcast.yaml is not a mapping; write a nowcast configuration"),
        ("a: [", "nowcast.yaml: while parsing a flow node"),
        ("python: $(NOWCAST.ENV.GONE)/bin/python", "nowcast.yaml: environment variable not set: GONE"),
        ("logging: {version: 7}", "nowcast.yaml: Unsupported version: 7"),
        (
            "logging: {version: 1, handlers: {a: {class: logging.FileHandler, filename: gone/x}}}",
            "nowcast.yaml: Unable to configure handler 'a': [Errno 2] No such file or directory",
        ),
        ("security: {curve: {key: k}}", "cannot connect to the message broker: the key 'keys' is missing"),
        ("zmq: {host: 'a b', ports: {workers: 1}}", "cannot connect to the message broker: Invalid argument"),
    ],
)
def test_an_unusable_configuration_is_status_2_and_its_reason(system: System, config: str | None, text: str) -> None:
    system.write_worker("return 1")
    system.config.unlink()
    if config is not None:
        system.config.write_text(config)
    log = system.run_worker(status=2)
    assert text in log
    assert "Traceback" not in log


def test_any_program_that_the_manager_launches_can_need_and_tell(system: System) -> None:
    system.more = "workers: {toil: {exec: [" + sys.executable + ", '{folder}/plain.py']}}"
    system.write_config()
    (system.folder / "plain.py").write_text(
        "from nowcast_worker import need, tell\ntell('halfway', {'seen': need('work', 'hours') + 1})\n"
    )
    system.start()
    system.nowcast("send", "toil", "success", "{hours: 5}")
    system.nowcast("launch", "toil")
    system.wait_for_log("manager", "received message from toil: (success)", 2)
    assert system.checklist()["work"] == {"hours": 5, "seen": 6}


def test_a_program_that_nowcast_did_not_launch_has_no_name_to_ask_in(system: System) -> None:
    (system.folder / "plain.py").write_text("from nowcast_worker import need\nneed('work')\n")
    system.spawn("plain", [sys.executable, "plain.py"])
    system.wait_for_end("plain", 1)
    assert "set NOWCAST_WORKER and NOWCAST_YAML: this program was not launched by the manager" in system.log("plain")
