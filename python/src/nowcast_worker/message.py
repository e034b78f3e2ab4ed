"""Messages between workers and the manager, as YAML."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml


@dataclass
class Message:
    """A message. `id`, `run` and `cycle` are additions that NEMO_Nowcast's manager ignores."""

    #: The name of the sending worker, or ``manager``.
    source: str
    #: A message type of that source in the message registry.
    type: str
    #: The value for the checklist.
    payload: Any = None
    #: The id of the message, by which the manager recognises one that is sent again.
    id: str | None = field(default=None, repr=False)
    #: The number of the run that sends it.
    run: str | None = field(default=None, repr=False)
    #: The cycle of that run.
    cycle: str | None = field(default=None, repr=False)

    def serialize(self) -> str:
        """Return the message as YAML.

        Raise `yaml.representer.RepresenterError` for a payload that `yaml.safe_load` would not read.
        """
        message = {"source": self.source, "type": self.type, "payload": self.payload}
        added = {"id": self.id, "run": self.run, "cycle": self.cycle}
        message.update({key: value for key, value in added.items() if value is not None})
        text: str = yaml.safe_dump(message)
        return text

    @classmethod
    def deserialize(cls, message: str) -> Message:
        """Return the message that a YAML text has."""
        content = yaml.safe_load(message)
        added = {key: content.get(key) for key in ("id", "run", "cycle")}
        return cls(source=content["source"], type=content["type"], payload=content["payload"], **added)
