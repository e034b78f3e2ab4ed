"""A worker that is to be launched."""

from __future__ import annotations

import logging
import subprocess
from dataclasses import dataclass, field
from typing import Any


@dataclass(order=True)
class NextWorker:
    """A worker that is to be launched, with its arguments and its host."""

    #: The worker's module in dotted notation.
    module: str
    #: The arguments on the command line.
    args: list[str] = field(default_factory=list)
    #: The host that it runs on.
    host: str = "localhost"

    def launch(self, config: Any, logger_name: str) -> None:
        """Start the worker, as NEMO_Nowcast's manager does it, and do not wait for it.

        With nowcast, rules launch workers; a run that is started here has no number, no limit and no retries.
        """
        logger = logging.getLogger(logger_name)
        if self.host == "localhost":
            command = [config["python"], "-m", self.module, config.file]
        else:
            host = config["run"]["enabled hosts"][self.host]
            environment, python, file = host["envvars"], host["python"], host["config file"]
            command = ["ssh", self.host, "source", environment, ";", python, "-m", self.module, file]
        command.extend(self.args or [])
        logger.info(f"launching {self}")
        logger.debug(f"cmd = {command}")
        subprocess.Popen(command)
