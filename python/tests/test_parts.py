"""The command line, the configuration and messages."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import arrow
import pytest
import yaml
from system import System

from nowcast_worker import CommandLineInterface, Config, Message, NextWorker


@pytest.fixture
def cli() -> CommandLineInterface:
    cli = CommandLineInterface("sleep", "forecast.workers", "A worker.")
    cli.build_parser()
    return cli


DATES = [
    (datetime.date(2026, 3, 1), datetime.date(2026, 3, 14)),
    (datetime.datetime(2026, 3, 1, 5), datetime.datetime(2026, 3, 14, tzinfo=datetime.timezone.utc)),
    (arrow.get("2026-03-01"), arrow.get("2026-03-14")),
]


@pytest.mark.parametrize(("default", "expected"), DATES)
def test_a_date_option_has_the_type_of_its_default(cli: CommandLineInterface, default: Any, expected: Any) -> None:
    cli.add_date_option("--run-date", default, "The day of the run.")
    assert cli.parser.parse_args(["nowcast.yaml"]).run_date is default
    date = cli.parser.parse_args(["nowcast.yaml", "--run-date", "2026-03-14"]).run_date
    assert (date, type(date)) == (expected, type(expected))
    assert "The day of the run. Format: YYYY-MM-DD. Default: 2026-03-01." in " ".join(cli.parser.format_help().split())


@pytest.mark.parametrize("text", ["2026-02-30", "2026-3-14", "14.3.2026", "2026-03-14T00", "20260314", ""])
@pytest.mark.parametrize("default", [default for default, _ in DATES])
def test_an_invalid_date_ends_the_worker_with_status_2(
    cli: CommandLineInterface, default: Any, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cli.add_date_option("--run-date", default, "")
    with pytest.raises(SystemExit) as exit_:
        cli.parser.parse_args(["nowcast.yaml", "--run-date", text])
    assert exit_.value.code == 2
    assert f"argument --run-date: invalid date {text!r}" in capsys.readouterr().err


def test_the_help_names_module_and_description(system: System) -> None:
    system.write_worker("return 1")
    help_text = system.run_worker("--help")
    assert help_text.startswith("usage: python -m tests.toil [-h] [--debug] config_file\n\nA worker of a test.\n")


def test_the_package_needs_no_arrow_and_no_requests() -> None:
    script = "import sys; sys.modules.update(arrow=None, requests=None, sentry_sdk=None); import nowcast_worker"
    source = str(Path(__file__).parent.parent / "src")
    subprocess.run([sys.executable, "-B", "-c", script], env={"PYTHONPATH": source}, check=True)


CONFIG = """
checklist file: $(NOWCAST.ENV.STATE)/checklist.yaml
python: $(NOWCAST.ENV.STATE)/bin/python
other: $(NOWCAST.ENV.STATE)
logging:
  {part}handlers:
    {indent}file: {{filename: $(NOWCAST.ENV.STATE)/nowcast.log}}
    {indent}unset: {{filename: $(NOWCAST.ENV.GONE)/nowcast.log}}
    {indent}console: {{stream: ext://sys.stdout}}
"""


@pytest.mark.parametrize("part", ["", "publisher", "aggregator"])
def test_environment_variables_are_replaced_where_nemo_nowcast_replaces_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    monkeypatch.setenv("STATE", "/state")
    monkeypatch.delenv("GONE", raising=False)
    file = tmp_path / "nowcast.yaml"
    file.write_text(CONFIG.format(part=part and f"{part}:\n    ", indent=part and "  "))
    config = Config()
    config.load(file)
    assert config.file == file
    assert (config["checklist file"], config["python"]) == ("/state/checklist.yaml", "/state/bin/python")
    assert config["other"] == "$(NOWCAST.ENV.STATE)"
    handlers = (config["logging"][part] if part else config["logging"])["handlers"]
    assert handlers["file"]["filename"] == "/state/nowcast.log"
    assert handlers["unset"]["filename"] == "$(NOWCAST.ENV.GONE)/nowcast.log"
    file.write_text("checklist file: $(NOWCAST.ENV.GONE)/checklist.yaml")
    with pytest.raises(KeyError, match="environment variable not set: GONE"):
        config.load(file)


def test_variables_that_nowcast_gives_a_default_have_it_here_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NOWCAST_LOGS", "NOWCAST_ENV", "NOWCAST_YAML", "CONDA_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VIRTUAL_ENV", "/venv")
    monkeypatch.chdir(tmp_path)
    Path("nowcast.yaml").write_text(
        "python: $(NOWCAST.ENV.NOWCAST_ENV)/bin/python\nchecklist file: $(NOWCAST.ENV.NOWCAST_LOGS)/c.yaml"
    )
    config = Config()
    config.load("nowcast.yaml")
    assert (config["python"], config["checklist file"]) == ("/venv/bin/python", f"{tmp_path}/logs/c.yaml")
    assert not Path("logs").exists()
    config.make_default_log_folder()
    assert Path("logs").is_dir()


def test_a_configuration_is_used_like_a_dictionary() -> None:
    config = Config()
    config["run"] = {"a": 1}
    assert "run" in config and "runs" not in config
    assert (config["run"], config.get("runs"), config.get("runs", 7)) == ({"a": 1}, None, 7)


def test_a_message_is_written_as_nemo_nowcast_writes_it() -> None:
    payload = {"b": [1.5, None, True], "a": {"00": "2026-03-14", "yes": "no"}, "day": datetime.date(2026, 3, 14), "set": {"x"}}
    message = Message("sleep", "success 06", payload)
    assert message.serialize() == yaml.dump({"source": "sleep", "type": "success 06", "payload": payload})
    assert Message.deserialize(message.serialize()) == message
    named = Message("sleep", "success", id="7", run="8", cycle="2026-03-14")
    assert yaml.safe_load(named.serialize()) == {
        "source": "sleep", "type": "success", "payload": None, "id": "7", "run": "8", "cycle": "2026-03-14",
    }  # fmt: skip
    assert Message.deserialize(named.serialize()) == named


def test_a_next_worker_is_shown_as_in_the_log() -> None:
    assert str(NextWorker("sleep")) == "NextWorker(module='sleep', args=[], host='localhost')"
    assert NextWorker("sleep") == NextWorker("sleep", [], "localhost")


@pytest.mark.parametrize(
    ("worker", "command"),
    [
        (NextWorker("f.sleep", ["--debug"]), ["/venv/bin/python", "-m", "f.sleep", "nowcast.yaml", "--debug"]),
        (
            NextWorker("f.sleep", ["7"], "nibi"),
            ["ssh", "nibi", "source", "env.sh", ";", "/there/python", "-m", "f.sleep", "there.yaml", "7"],
        ),
    ],
)
def test_a_next_worker_is_launched_as_nemo_nowcast_does_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, worker: NextWorker, command: list[str]
) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(subprocess, "Popen", started.append)
    config = Config()
    config.file = "nowcast.yaml"
    config["python"] = "/venv/bin/python"
    config["run"] = {"enabled hosts": {"nibi": {"envvars": "env.sh", "python": "/there/python", "config file": "there.yaml"}}}
    caplog.set_level("DEBUG")
    worker.launch(config, "manager")
    assert started == [command]
    assert caplog.messages == [f"launching {worker}", f"cmd = {command}"]


def test_a_configuration_may_leave_out_what_the_program_nowcast_has_defaults_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOWCAST_LOGS", raising=False)
    file = tmp_path / "nowcast.yaml"
    file.write_text("message registry:\n  workers:\n    get_obs:\n    toil: {success: done}\nzmq: {ports: {workers: 5}}\n")
    config = Config()
    config.load(file)
    nowcast = [os.environ["NOWCAST"], "config", "show", "--config", file]
    shown = subprocess.run(nowcast, check=True, capture_output=True, text=True, env={**os.environ, "NOWCAST_ENV": sys.prefix})
    monkeypatch.setenv("NOWCAST_ENV", sys.prefix)
    config.load(file)
    assert yaml.safe_load(shown.stdout) == config._dict
    assert config["message registry"]["workers"]["get_obs"]["crash"] == "get_obs crashed"


#: Configurations of several files: their sections and lists are merged.
INCLUDED = {
    "nowcast.yaml": "include: [a.yaml, 'hosts/*.yaml']\nzmq: {ports: {workers: 5}}\nlist: [1, 2]\nmine: &m {list: [1]}\nsame: *m\n",
    "a.yaml": "message registry:\n  workers: {get_obs: }\nlist: [{b: 3}]\nmine: {<<: {x: 1}, list: [4]}\n",
    "hosts/.hidden.yaml": "hidden: 1\n",
    "hosts/b.yaml": "include: ../more.yaml\nrun: {enabled hosts: {b: }}\n",
    "hosts/a.yaml": "run: {enabled hosts: {a: }}\nlist: [5]\n",
    "more.yaml": "zmq: {ports: {manager: 4}}\n",
}

#: What the files of a configuration have, each with one error or several.
WRONG: list[dict[str, str]] = [
    {"nowcast.yaml": "include: a.yaml\nx: {y: 1}\n", "a.yaml": "x:\n  y: 1\n  z: 2\n"},
    {"nowcast.yaml": "include: [a.yaml, b.yaml]\n", "a.yaml": "x: [1]\n7: 1\n", "b.yaml": "x: {y: 1}\n7: 2\nx y: 2\n"},
    {"nowcast.yaml": "include: a.yaml\nx:\n", "a.yaml": "\nx:\n"},
    {"nowcast.yaml": "include:\n- none.yaml\n- 7\n- [a]\n"},
    {"nowcast.yaml": "include: {a: b}\n"},
    {"nowcast.yaml": "include: sub/a.yaml\n", "sub/a.yaml": "include: b.yaml\n", "sub/b.yaml": "x: 1\ninclude: [a.yaml]\n"},
    {"nowcast.yaml": "include: '*.yaml'\n", "a.yaml": ""},
    {"nowcast.yaml": "include: [a.yaml, '?.yaml']\n", "a.yaml": "x: 1\n"},
    {"nowcast.yaml": "include: a.yaml\n", "a.yaml": "- 1\n"},
    {"nowcast.yaml": "include: a.yaml\nx: {on: 1}\n", "a.yaml": "x: {on: 2}\n"},
]


def write_files(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


def nowcast(*arguments: str) -> str:
    environment = {**os.environ, "NOWCAST_ENV": sys.prefix, "NOWCAST_LOGS": "/tmp"}
    return subprocess.run([os.environ["NOWCAST"], *arguments], stdout=subprocess.PIPE, text=True, env=environment).stdout


def test_files_are_included_as_by_the_program_nowcast(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NOWCAST_ENV", sys.prefix)
    monkeypatch.setenv("NOWCAST_LOGS", "/tmp")
    write_files(tmp_path, INCLUDED)
    config = Config()
    config.load("nowcast.yaml")
    assert yaml.safe_load(nowcast("config", "show")) == config._dict
    assert config["list"] == [1, 2, {"b": 3}, 5]
    assert (config["mine"], config["same"]) == ({"list": [1, 4], "x": 1}, {"list": [1]})
    assert "hidden" not in config


@pytest.mark.parametrize("files", WRONG)
def test_files_that_cannot_be_merged_have_the_errors_of_the_program_nowcast(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path, files)
    with pytest.raises(ValueError) as caught:
        Config().load("nowcast.yaml")
    ours = [f"error: {line}" for line in str(caught.value).splitlines()]
    assert ours == nowcast("config", "check").splitlines()


def test_a_merged_file_of_the_manager_stands_for_the_one_that_includes(tmp_path: Path) -> None:
    write_files(tmp_path, {"nowcast.yaml": "include: a.yaml\n", "a.yaml": "x: 1\n", "merged.yaml": f"merged from: {tmp_path}/nowcast.yaml\nx: 0\n"})
    config = Config()
    config.load(tmp_path / "merged.yaml")
    assert (config.file, config["x"], "merged from" in config) == (f"{tmp_path}/nowcast.yaml", 1, False)
