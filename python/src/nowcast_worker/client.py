"""The connection of a worker to the manager, through the message broker."""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Callable

import zmq
from zmq.utils.monitor import recv_monitor_message

from nowcast_worker.broker import Broker
from nowcast_worker.errors import WorkerError

#: Idle seconds after which TCP probes the connection, as in NEMO_Nowcast, so that a firewall does not drop it.
_KEEPALIVE_IDLE = 900

#: Milliseconds until connecting is retried; doubled each time up to a second.
_RECONNECT_INTERVAL = 50

#: Seconds between two reports that there is no reply.
REPLY_WARNING_INTERVAL = 60.0

#: Seconds before a message is sent again whose connection was lost soon after it had been sent again; doubled each time.
_RESEND_PAUSE = 0.05

#: The longest pause of that kind. None follows a connection that lasted longer.
_MAX_RESEND_PAUSE = 30.0

#: The longest delay of a signal in seconds.
_SIGNAL_INTERVAL = 1.0


def new_id() -> str:
    """Return an id for a message: a UUID of version 7, which sorts by time."""
    value = (time.time_ns() // 1_000_000) << 80 | secrets.randbits(80)
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return str(uuid.UUID(int=value))


class Client:
    """Sends one message at a time and waits for its reply.

    A message whose reply has not come is sent again if the connection to the broker is lost, and for no other reason: a slow
    manager has received it. The manager may have handled the first copy, and recognises the second one by its ``id``.
    """

    def __init__(self, broker: Broker, read_settings: Callable[[], Broker | None] = lambda: None) -> None:
        """Connect to the broker, which need not run yet. `read_settings` is called while it is missing: it may have moved."""
        self.broker = broker
        self._read_settings = read_settings
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._connection = _Connection(self._context, broker)
        self._text = b""

    def send(self, text: str) -> None:
        """Send a message. It waits in this process until the broker can be reached."""
        encoded = text.encode()
        if len(encoded) > self.broker.message_size:
            raise WorkerError(
                f"the message has {len(encoded)} bytes, and may have {self.broker.message_size}; put large data into a file and "
                "its path into the payload, or raise `security: limits: message size:`, also in the broker's configuration"
            )
        # Earlier losses of the connection did not affect this message.
        self._connection.take_loss()
        self._text = encoded
        self._connection.socket.send(encoded)

    def receive(self, on_silence: Callable[[int], None], on_resend: Callable[[], None]) -> str:
        """Wait for the reply without limit.

        `on_silence` is called with their number after each `REPLY_WARNING_INTERVAL` without a reply, and `on_resend` each
        time that the message is sent again.
        """
        resending = _Resending()
        start = time.monotonic()
        intervals = 0
        while True:
            interval_end = start + (intervals + 1) * REPLY_WARNING_INTERVAL
            self._connection.wait(min(interval_end, resending.due or interval_end))
            # Checked before receiving: a reply that arrived before the loss is used, and nothing is sent again.
            is_lost = self._connection.take_loss()
            reply = self._connection.reply()
            if reply is not None:
                return reply
            if is_lost:
                resending.schedule()
            if resending.due is not None and time.monotonic() >= resending.due:
                resending.note_sent()
                self._send_again(self.broker)
                on_resend()
            if time.monotonic() >= interval_end:
                intervals += 1
                on_silence(intervals)
                if self._follow_new_settings():
                    on_resend()

    def close(self) -> None:
        """Close the connection. A message that has not left is discarded."""
        self._connection.close()
        self._context.term()

    def _follow_new_settings(self) -> bool:
        """Send the message by the settings that are in force now, if the connection is down and they have changed."""
        broker = None if self._connection.is_up else self._read_settings()
        if broker is None or broker == self.broker:
            return False
        try:
            self._send_again(broker)
        except WorkerError:
            # The keys are still to be copied, for example. It is tried again later.
            return False
        return True

    def _send_again(self, broker: Broker) -> None:
        """Send the message on a new socket: the old one would send what it still holds when it reconnects."""
        connection = _Connection(self._context, broker)
        self._connection.close()
        self._connection, self.broker = connection, broker
        connection.socket.send(self._text)


class _Resending:
    """When the message is sent again. A broker that ends each connection must not get it without a pause."""

    def __init__(self) -> None:
        self.due: float | None = None
        self._pause = 0.0
        self._last: float | None = None

    def schedule(self) -> None:
        if self.due is not None:
            return
        now = time.monotonic()
        is_repeated = self._last is not None and now - self._last <= _MAX_RESEND_PAUSE
        self._pause = min(max(self._pause * 2, _RESEND_PAUSE), _MAX_RESEND_PAUSE) if is_repeated else 0.0
        self.due = now + self._pause

    def note_sent(self) -> None:
        self.due, self._last = None, time.monotonic()


class _Connection:
    """A REQ socket. It reconnects by itself, but does not repeat what it sent."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], broker: Broker) -> None:
        self._address = broker.address
        self.is_up = False
        self.socket = context.socket(zmq.REQ)
        self.socket.linger = 0
        try:
            if broker.keys is not None:
                broker.keys.secure_client(self.socket)
            self.socket.tcp_keepalive = 1
            self.socket.tcp_keepalive_idle = _KEEPALIVE_IDLE
            self.socket.reconnect_ivl = _RECONNECT_INTERVAL
            self.socket.reconnect_ivl_max = 1_000
            self._monitor = self.socket.get_monitor_socket(
                zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_DISCONNECTED
            )
            self.socket.connect(self._address)
        except BaseException:
            # Else the context could not be terminated.
            self.socket.close()
            raise

    def wait(self, until: float) -> None:
        """Wait for a reply or a change of the connection."""
        poller = zmq.Poller()
        poller.register(self.socket, zmq.POLLIN)
        poller.register(self._monitor, zmq.POLLIN)
        # Rounded up, since a timeout that is a little too short would be repeated in a busy loop. Python runs signal handlers between its
        # own instructions, so one that comes just before the call would wait for its end.
        timeout = min(until - time.monotonic(), _SIGNAL_INTERVAL)
        poller.poll(max(0, int(timeout * 1000) + 1))

    def reply(self) -> str | None:
        """Return the reply, if it has come."""
        try:
            return b"".join(self.socket.recv_multipart(zmq.NOBLOCK)).decode()
        except zmq.Again:
            return None

    def take_loss(self) -> bool:
        """Return whether an established connection was lost since the last call.

        A connection that was never established has carried nothing, and its message still waits.
        """
        is_lost = False
        while True:
            try:
                event = recv_monitor_message(self._monitor, zmq.NOBLOCK)["event"]
            except zmq.Again:
                return is_lost
            if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
                raise WorkerError(
                    f"the message broker at {self._address} rejects this program: `security:` in the broker's configuration does "
                    "not allow its address or key; the broker's log says which"
                )
            is_up = event == zmq.EVENT_HANDSHAKE_SUCCEEDED
            is_lost |= self.is_up and not is_up
            self.is_up = is_up

    def close(self) -> None:
        """Close the socket and its monitor."""
        self.socket.disable_monitor()
        self._monitor.close(0)
        self.socket.close(0)
