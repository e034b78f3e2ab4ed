"""Who may read the log messages that a worker publishes: ``security: allow: logging`` and ``security: curve``."""

from __future__ import annotations

import ipaddress
import threading
from typing import Union

import zmq
import zmq.utils.z85

from nowcast_worker.broker import Keys, security
from nowcast_worker.config import Config
from nowcast_worker.errors import WorkerError

_Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


class Admission:
    """A thread that answers libzmq's question whether to admit a connection (ZeroMQ RFC 27, ZAP)."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], networks: list[_Network] | None, keys: Keys | None) -> None:
        """Admit connections from these networks, if there is such a list, with an authorized key, if keys are used."""
        self._networks = networks
        self._keys = keys
        self._socket = context.socket(zmq.REP)
        self._socket.linger = 0
        self._socket.bind("inproc://zeromq.zap.01")
        self._end = context.socket(zmq.PAIR)
        self._end.bind("inproc://admission-end")
        self._ended = context.socket(zmq.PAIR)
        self._ended.connect("inproc://admission-end")
        self._thread = threading.Thread(target=self._answer, name="admission", daemon=True)
        self._thread.start()

    @classmethod
    def of(cls, config: Config, keys: Keys | None, context: zmq.Context[zmq.Socket[bytes]]) -> Admission | None:
        """Return the thread for a configuration, if it has such settings. An empty list of networks admits no connection."""
        allow = (security(config).get("allow") or {}).get("logging")
        if allow is None and keys is None:
            return None
        networks = None if allow is None else [ipaddress.ip_network(network) for network in allow]
        return cls(context, networks, keys)

    def close(self) -> None:
        """Stop the thread."""
        self._ended.send(b"")
        self._thread.join()
        for socket in (self._end, self._ended, self._socket):
            socket.close(0)

    def _answer(self) -> None:
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._end, zmq.POLLIN)
        while self._end not in dict(poller.poll()):
            version, request, _domain, address, _identity, mechanism, *credentials = self._socket.recv_multipart()
            try:
                is_admitted = self._admits(address.decode(), mechanism, credentials)
            except (OSError, ValueError, IndexError, WorkerError):
                # Keys that cannot be read admit no connection, and must not end the thread: libzmq would wait for it.
                is_admitted = False
            answer = (b"200", b"OK") if is_admitted else (b"400", b"not allowed")
            self._socket.send_multipart([version, request, *answer, b"", b""])

    def _admits(self, address: str, mechanism: bytes, credentials: list[bytes]) -> bool:
        if self._networks is not None:
            client = ipaddress.ip_address(address)
            if not any(client in network for network in self._networks):
                return False
        if self._keys is None:
            return True
        # Read for each connection, so that a key can be revoked.
        return mechanism == b"CURVE" and zmq.utils.z85.encode(credentials[0]) in self._keys.authorized()
