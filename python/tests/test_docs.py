"""The workers of the README, of the documentation and of the example do their work."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import yaml
from system import System

ROOT = Path(__file__).parent.parent

TODAY = "datetime.date.today()"


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def test_the_worker_of_the_readme(system: System) -> None:
    (registry,) = blocks(ROOT / "README.md", "yaml")
    (worker,) = blocks(ROOT / "README.md", "python")
    text = system.config.read_text()
    indented = "".join(f"    {line}\n" for line in registry.splitlines())
    system.config.write_text(text.replace("    toil:\n", f"{indented}    toil:\n"))
    rules = system.folder / "rules/next_workers.lua"
    rules.write_text(rules.read_text() + "function after_download_waves() return {} end\n")
    (system.folder / "download_waves.py").write_text(worker)
    system.start()
    system.run_worker("--day", "2026-03-14", name="download_waves")
    assert system.checklist() == {"waves": {"day": "2026-03-14", "hours": 24}}
    log = system.run_worker("--day", "1999-03-14", name="download_waves")
    assert "ERROR [download_waves] there was no buoy before 2000" in log
    assert "sent message: (failure) wave heights not downloaded" in log


def test_the_additions_of_the_documentation(system: System) -> None:
    (block,) = blocks(ROOT.parent / "docs/python-workers.md", "python")
    (system.folder / "page.py").write_text(block)
    system.write_worker("import page\nreturn page.make_plots(parsed_args, config, tell_manager)")
    text = system.config.read_text()
    system.config.write_text(text.replace("checklist key: work", "checklist key: plots"))
    system.start()
    system.nowcast("checklist", "set", "NEMO run", "{nowcast: {run date: '2026-03-14'}}")
    system.run_worker()
    assert system.checklist()["plots"] == {"plots": 12, "run date": "2026-03-14"}
    assert system.log("manager").count("(halfway)") == 1


def test_the_import_lines_of_nemo_nowcast_workers_are_changed_as_documented(tmp_path: Path) -> None:
    (command,) = blocks(ROOT.parent / "docs/python-workers.md", "sh")
    (tmp_path / "workers").mkdir()
    worker = tmp_path / "workers/sleep.py"
    lines = [
        "import logging",
        "from nemo_nowcast import NowcastWorker, WorkerError, get_web_data, NextWorker",
        "from nemo_nowcast.worker import NowcastWorker, WorkerError, get_web_data, NextWorker",
        "from nemo_nowcast.message import Message",
        "from nemo_nowcast.config import Config",
        "from nemo_nowcast.cli import CommandLineInterface",
    ]
    # A name that the package does not have stays where it is.
    worker.write_text("\n".join([*lines, "from nemo_nowcast.fileutils import mkdir_p"]))
    assert os.system(f"cd {tmp_path} && {command}") == 0
    *changed, last = worker.read_text().splitlines()
    assert changed == [line.replace("nemo_nowcast", "nowcast_worker") for line in lines]
    assert last == "from nemo_nowcast.fileutils import mkdir_p"
    # All of these names are there.
    exec("\n".join(changed), {})


def test_the_example_runs_to_its_end(system: System) -> None:
    folder = system.folder / "example"
    shutil.copytree(ROOT / "example", folder)
    config = folder / "nowcast.yaml"
    text = config.read_text().replace("$(NOWCAST.ENV.NOWCAST_ENV)/bin/python3", sys.executable)
    config.write_text(text.replace("4363", str(system.manager_port)).replace("4364", str(system.workers_port)))
    system.folder = folder
    system.nowcast("rules", "check")
    system.spawn("up", [os.environ["NOWCAST"], "up", "--launch", "download_waves --day 2026-03-14", "--exit-when-idle"])
    system.wait_for_end("up")
    checklist = yaml.safe_load((folder / "logs/checklist.yaml").read_text())
    assert (checklist["waves"]["day"], checklist["waves"]["hours"]) == ("2026-03-14", 24)
    assert checklist["summary"] == {"lowest": 1.0, "highest": 3.0}
