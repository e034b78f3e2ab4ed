"""The configuration of a nowcast system, as ``nowcast.yaml`` has it."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from . import include

# The settings that a configuration may leave out, the same as in the program `nowcast`.
_DEFAULTS = Path(__file__).with_name("default_settings.yaml")

# The manager's merged file for workers that do not know `include:` names the file that has it.
_MERGED_FROM = "merged from"

# NEMO_Nowcast's pattern; letters right behind the parenthesis belong to it.
_VARIABLE = re.compile(r"\$\(NOWCAST\.ENV\.(\w*)\)\w*")


@dataclass
class Config:
    """A dictionary-like view of the configuration file."""

    #: The configuration file.
    file: str = field(init=False, default="")
    _dict: dict[Any, Any] = field(init=False, repr=False, default_factory=dict)
    _default_log_folder: str = field(init=False, repr=False, default="")

    def __contains__(self, item: object) -> bool:
        return item in self._dict

    def __getitem__(self, item: Any) -> Any:
        return self._dict[item]

    def __setitem__(self, key: Any, value: Any) -> None:
        self._dict[key] = value

    def get(self, key: Any, default: Any = None) -> Any:
        """Return the value of a key, or the default if there is no such key."""
        return self._dict.get(key, default)

    def load(self, config_file: str | os.PathLike[str]) -> None:
        """Read the file and those that it includes, add the settings that it leaves out, and replace ``$(NOWCAST.ENV.NAME)`` in ``checklist file``, ``python`` and the file names of log handlers.

        An environment variable that is not set is a `KeyError`, but in a file name of a log handler it stays as it is written.
        """
        content = include.read(config_file)
        if isinstance(content, dict) and _MERGED_FROM in content:
            config_file = content[_MERGED_FROM]
            content = include.read(config_file)
        self.file = config_file  # type: ignore[assignment]
        if not isinstance(content, dict):
            raise ValueError(f"{config_file} is not a mapping; write a nowcast configuration")
        _add_missing(content, yaml.safe_load(_DEFAULTS.read_text(encoding="utf-8")))
        registry = content["message registry"]
        workers = registry.get("workers") if isinstance(registry, dict) else None
        if isinstance(workers, dict):
            registry["workers"] = {name: _with_message_types(name, worker) for name, worker in workers.items()}
        self._dict = content
        for key in ("checklist file", "python"):
            if key in content:
                content[key] = self.with_variables(content[key])
        logging = content.get("logging") or {}
        for section in (logging, logging.get("aggregator") or {}, logging.get("publisher") or {}):
            for handler in (section.get("handlers") or {}).values():
                if "filename" in handler:
                    try:
                        handler["filename"] = self.with_variables(handler["filename"])
                    except KeyError:
                        pass

    def with_variables(self, text: str) -> str:
        """Return a text with its ``$(NOWCAST.ENV.NAME)`` replaced."""
        return _VARIABLE.sub(lambda match: self._variable(match.group(1)), text)

    def _variable(self, name: str) -> str:
        value = os.environ.get(name)
        if value is not None:
            return value
        # The same defaults as in the program `nowcast`.
        if name == "NOWCAST_LOGS":
            self._default_log_folder = str(Path(os.path.abspath(self.file)).parent / "logs")
            return self._default_log_folder
        if name == "NOWCAST_ENV":
            return os.environ.get("VIRTUAL_ENV") or os.environ.get("CONDA_PREFIX") or sys.prefix
        if name == "NOWCAST_YAML":
            return os.path.abspath(self.file)
        raise KeyError(f"environment variable not set: {name}")

    def make_default_log_folder(self) -> None:
        """Make the folder of the log files, if the configuration uses ``NOWCAST_LOGS`` and that is not set."""
        if self._default_log_folder:
            os.makedirs(self._default_log_folder, exist_ok=True)


def _add_missing(given: dict[Any, Any], defaults: dict[str, Any]) -> None:
    """Add the settings that a section leaves out, but nothing within `logging`."""
    for key, default in defaults.items():
        if given.get(key) is None:
            given[key] = default
        elif isinstance(default, dict) and isinstance(given[key], dict) and key != "logging":
            _add_missing(given[key], default)


def _with_message_types(name: str, worker: Any) -> Any:
    """Return a registered worker; one without message types gets the usual ones, and its name as the checklist key."""
    if worker is not None and (not isinstance(worker, dict) or set(worker) - {"checklist key"}):
        return worker
    types = {"success": f"{name} succeeded", "failure": f"{name} failed", "crash": f"{name} crashed"}
    return {"checklist key": name, **(worker or {}), **types}
