"""Publishes log messages on a ZeroMQ socket, in the frames of pyzmq's ``PUBHandler`` as NEMO_Nowcast sets it up."""

from __future__ import annotations

import logging

import zmq

from nowcast_worker.broker import Keys
from nowcast_worker.config import Config
from nowcast_worker.zap import Admission

#: Milliseconds for which a worker waits for its first subscriber, which tries to connect every 100 to 200 ms. Earlier lines
#: would be lost.
_SUBSCRIBER_TIMEOUT = 1_000

#: Milliseconds for which the last lines may be under way when the worker exits.
_LINGER = 1_000

#: The lines that ZeroMQ queues for a slow subscriber.
_MAX_QUEUED = 100_000

#: The levels that pyzmq publishes.
_LEVELS = (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL)


class Publisher:
    """A socket for log messages.

    It is an XPUB socket, which is told of the first subscription, and does not take ``::`` in a message for a topic.
    """

    def __init__(self, name: str, config: Config) -> None:
        """Make a publisher under the name of a program. It is bound later."""
        self._program = name
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._admission: Admission | None = None
        self._socket = self._context.socket(zmq.XPUB)
        self._socket.linger = _LINGER
        self._socket.sndhwm = _MAX_QUEUED
        try:
            keys = Keys.of(config)
            if keys is not None:
                keys.secure_publisher(self._socket)
            self._admission = Admission.of(config, keys, self._context)
            if self._admission is not None:
                # Otherwise libzmq asks about connections with keys only.
                self._socket.zap_domain = b"logging"
        except BaseException:
            self.close()
            raise

    def bind(self, address: str) -> bool:
        """Bind an address and wait for a subscriber. Return whether the port was free."""
        try:
            self._socket.bind(address)
        except zmq.ZMQError as error:
            if error.errno == zmq.EADDRINUSE:
                return False
            raise
        self._socket.poll(_SUBSCRIBER_TIMEOUT)
        return True

    def publish(self, level: str, text: str) -> None:
        """Send a line to the subscribers. It never waits."""
        self._socket.send_multipart([f"{self._program}.{level}".encode(), text.encode(errors="replace")])

    def close(self) -> None:
        """Close the socket. What is under way has a second."""
        if self._socket.closed:
            return
        self._socket.close()
        if self._admission is not None:
            self._admission.close()
        self._context.term()


class PublishingHandler(logging.Handler):
    """Publishes the messages of a program's loggers, and closes the publisher with itself."""

    def __init__(self, publisher: Publisher) -> None:
        """Make a handler for a publisher that is bound."""
        super().__init__()
        self._publisher = publisher
        self.setFormatter(logging.Formatter("%(message)s\n"))

    def emit(self, record: logging.LogRecord) -> None:
        """Publish a message. One whose level has no name is not published, as with pyzmq."""
        if record.levelno not in _LEVELS:
            return
        try:
            self._publisher.publish(record.levelname, self.format(record))
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Close the publisher."""
        self._publisher.close()
        super().close()
