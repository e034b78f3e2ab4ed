"""Where the message broker is, and how programs connect to it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zmq
import zmq.auth

from nowcast_worker.config import Config
from nowcast_worker.errors import WorkerError

#: The most bytes of a message, unless ``security: limits: message size`` says otherwise.
_MESSAGE_SIZE = 64_000_000


@dataclass(frozen=True)
class Keys:
    """``security: curve``: the keys of encrypted connections."""

    #: The folder of the key files.
    folder: Path
    #: The name of this machine's own key.
    client: str

    @classmethod
    def of(cls, config: Config) -> Keys | None:
        """Return the settings of a configuration, if it has them."""
        curve = security(config).get("curve")
        if not curve:
            return None
        folder = Path(os.path.abspath(config.file)).parent / config.with_variables(str(curve["keys"]))
        return cls(folder, str(curve.get("client", "client")))

    def secure_client(self, socket: zmq.Socket[bytes]) -> None:
        """Let a socket encrypt, and connect to nothing but the broker with this system's key."""
        socket.curve_publickey, socket.curve_secretkey = _secret(self.folder / f"{self.client}.key_secret")
        socket.curve_serverkey = _public(self.folder / "broker.key")

    def secure_publisher(self, socket: zmq.Socket[bytes]) -> None:
        """Let a socket for log messages encrypt the connections that are made to it."""
        _, socket.curve_secretkey = _secret(self.folder / "logging.key_secret")
        socket.curve_server = True

    def authorized(self) -> set[bytes]:
        """Return the public keys that may connect."""
        return {_public(file) for file in (self.folder / "authorized").glob("*.key")}


def _public(file: Path) -> bytes:
    return _certificate(file)[0]


def _secret(file: Path) -> tuple[bytes, bytes]:
    public, secret = _certificate(file)
    if secret is None:
        raise WorkerError(f"the key file {file} has no secret key")
    status = file.stat()
    if status.st_mode & 0o077:
        raise WorkerError(
            f"the key file {file} can be read by others: run chmod 600 on it, and make new keys if others may have read it"
        )
    if status.st_uid != os.geteuid():
        raise WorkerError(
            f"the key file {file} belongs to another user: give it to the system's user with chown, or make new keys"
        )
    return public, secret


def _certificate(file: Path) -> tuple[bytes, bytes | None]:
    try:
        return zmq.auth.load_certificate(file)
    except (OSError, ValueError) as error:
        raise WorkerError(f"the key file {file} cannot be read: {error}. `nowcast keys` makes key files") from error


def security(config: Config) -> Any:
    """Return the section ``security``."""
    return config.get("security") or {}


@dataclass(frozen=True)
class Broker:
    """How workers reach the broker."""

    host: str
    port: int
    message_size: int
    keys: Keys | None

    @classmethod
    def of(cls, config: Config) -> Broker:
        """Return the settings of a configuration."""
        limits = security(config).get("limits") or {}
        size = limits.get("message size", _MESSAGE_SIZE)
        return cls(config["zmq"]["host"], config["zmq"]["ports"]["workers"], size, Keys.of(config))

    def __str__(self) -> str:
        """Return host and port, as log lines have them."""
        return f"{self.host} port {self.port}"

    @property
    def address(self) -> str:
        """The address to which workers connect."""
        return f"tcp://{self.host}:{self.port}"
