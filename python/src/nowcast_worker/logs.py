"""Logging of a worker, by the section ``logging`` of the configuration."""

from __future__ import annotations

import copy
import ipaddress
import logging
import logging.config
import sys
from typing import Any

from nowcast_worker.broker import security
from nowcast_worker.config import Config
from nowcast_worker.publisher import Publisher, PublishingHandler

#: The level of a handler that is turned off.
_OFF = 100

#: The handler that shows all lines with ``--debug``.
_CONSOLE = "console"

#: How lines look without a section ``logging``.
_FORMAT = "%(asctime)s %(levelname)s [%(name)s] %(message)s"


def set_up(config: Config, name: str, debug: bool) -> list[tuple[int, str]]:
    """Set up logging for a worker, and return the lines with which its log begins, each with its level.

    With `debug`, all lines go to the console, nothing is published, and no port is bound.
    """
    section = config.get("logging")
    if not section:
        logging.basicConfig(stream=sys.stdout, level=logging.DEBUG, format=_FORMAT)
        return []
    config.make_default_log_folder()
    is_published = "publisher" in section
    settings = copy.deepcopy(section["publisher"] if is_published else section)
    handlers = settings.get("handlers") or {}
    _follow_rotation(settings, handlers)
    publishers = [key for key, handler in handlers.items() if handler.get("class") == "zmq.log.handlers.PUBHandler"]
    publisher, lines = None, []
    if debug:
        _debug(settings)
    elif publishers:
        publisher, line = _publisher(config, name)
        lines.append(line)
    elif not is_published:
        lines.append((logging.INFO, "writing log messages to local file system"))
    for key in publishers:
        if publisher is not None:
            # Made by `dictConfig`, which closes all handlers that were made before.
            handlers[key] = {"()": PublishingHandler, "publisher": publisher, **_level_of(handlers[key])}
        elif debug:
            handlers[key] = {"class": "logging.NullHandler"}
        else:
            kept = {"level": handlers[key].get("level", "NOTSET"), "formatter": handlers[key].get("formatter")}
            handlers[key] = {"class": "logging.StreamHandler", **{k: v for k, v in kept.items() if v is not None}}
    logging.config.dictConfig(settings)
    return lines


def _follow_rotation(settings: Any, handlers: Any) -> None:
    """Let the files that nowcast's programs rotate be opened again when one of them has done so."""
    for key in (settings.get("self rotating") or {}).get("handlers") or []:
        kept = {name: value for name, value in handlers[key].items() if name not in ("maxBytes", "backupCount")}
        handlers[key] = {**kept, "class": "logging.handlers.WatchedFileHandler"}


def _level_of(handler: Any) -> dict[str, Any]:
    return {key: handler[key] for key in ("level", "filters") if key in handler}


def _debug(settings: Any) -> None:
    """Let the console show all lines, and turn the root's other handlers off."""
    handlers = settings.get("handlers") or {}
    # NEMO_Nowcast silences the others with the console's level, which users set above DEBUG.
    silent = (handlers.get(_CONSOLE) or {}).get("level") or _OFF
    for key in (settings.get("root") or {}).get("handlers") or []:
        if key in handlers:
            handlers[key]["level"] = "DEBUG" if key == _CONSOLE else silent


def _publisher(config: Config, name: str) -> tuple[Publisher | None, tuple[int, str]]:
    """Bind the first port that is free. Return the publisher, and a line that says where it publishes, or why there is none."""
    addresses = log_addresses(config, name)
    publisher = Publisher(name, config)
    try:
        for address in addresses:
            if publisher.bind(address):
                return publisher, (logging.INFO, f"publishing log messages to {address}")
    except BaseException:
        publisher.close()
        raise
    publisher.close()
    reason = f"none of the ports for the log messages of {name} is free ({', '.join(addresses)})"
    if not addresses:
        reason = f"there is no port for the log messages of {name}"
    return None, (logging.WARNING, f"{reason}; they are shown on stderr (zmq: ports: logging)")


def log_addresses(config: Config, name: str) -> list[str]:
    """Return the addresses on which a worker can publish: its own, or those that all other workers share."""
    ports = (config["zmq"]["ports"].get("logging")) or {}
    entries = ports.get(name, ports.get("workers", []))
    addresses = []
    for entry in entries if isinstance(entries, list) else [entries]:
        host, _, port = str(entry).rpartition(":")
        address = f"tcp://{_bind_address(config, bool(host))}:{port}"
        # A worker that runs on several hosts has the same port on each.
        if address not in addresses:
            addresses.append(address)
    return addresses


def _bind_address(config: Config, has_host: bool) -> str:
    """Return where a port is bound: a plain number as the broker's ports are, else for the aggregator of another host."""
    bind: str | None = (security(config).get("bind") or {}).get("logging")
    if bind is not None:
        return bind
    if has_host:
        return "*"
    zmq_section = config["zmq"]
    if zmq_section.get("bind"):
        return str(zmq_section["bind"])
    host = zmq_section["host"]
    if host == "localhost":
        return "127.0.0.1"
    try:
        return str(host) if ipaddress.IPv4Address(host).is_loopback else "*"
    except ValueError:
        return "*"
