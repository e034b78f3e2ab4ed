"""A message is sent again when the connection is lost, and for no other reason."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
import yaml
import zmq
from system import DEADLINE, System, free_port, wait_for

from nowcast_worker import client as client_module
from nowcast_worker.broker import Broker
from nowcast_worker.client import Client, new_id
from nowcast_worker.errors import WorkerError

SENT_AGAIN = "was lost before the reply came; the message is sent again"


def broker(port: int) -> Broker:
    return Broker("127.0.0.1", port, 1_000, None)


def ignore(_intervals: int = 0) -> None:
    pass


class Receiver:
    """A ROUTER in the place of the broker."""

    def __init__(self, port: int, **options: int) -> None:
        self.socket: Any = zmq.Context.instance().socket(zmq.ROUTER)
        self.socket.linger = 0
        self.socket.rcvtimeo = int(DEADLINE * 1000)
        for name, value in options.items():
            setattr(self.socket, name, value)
        # An earlier socket may take a moment to release the port.
        wait_for("the port", lambda: self.bind(port))

    def bind(self, port: int) -> bool:
        try:
            self.socket.bind(f"tcp://127.0.0.1:{port}")
        except zmq.ZMQError as error:
            if error.errno == zmq.EADDRINUSE:
                return False
            raise
        return True

    def take(self) -> tuple[list[bytes], bytes]:
        *envelope, text = self.socket.recv_multipart()
        return envelope, text

    def reply(self, envelope: list[bytes], text: bytes = b"reply") -> None:
        self.socket.send_multipart([*envelope, text])

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def in_thread() -> Any:
    threads: list[threading.Thread] = []

    def start(function: Callable[[], None]) -> None:
        threads.append(threading.Thread(target=function, daemon=True))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join(DEADLINE)
        assert not thread.is_alive()


def test_a_worker_whose_broker_is_killed_sends_its_message_again(system: System) -> None:
    system.start()
    system.write_worker("tell('halfway')\nwhile not Path('go').exists():\n    time.sleep(0.01)\nreturn {'hours': 5}")
    system.start_worker()
    # The connection is established.
    system.wait_for_log("toil", "received message from manager: (ack)")
    system.kill("manager")
    (system.folder / "go").touch()
    system.wait_for_log("toil", "sent message: (success)")
    system.kill("broker")
    system.wait_for_log("toil", SENT_AGAIN)
    system.start()
    system.wait_for_end("toil")
    assert system.log("toil").count(SENT_AGAIN) == 1
    assert system.log("manager").count("received message from toil: (success)") == 1
    assert system.checklist() == {"work": {"hours": 5}}


def test_the_second_copy_is_the_first_one_with_its_id(in_thread: Any) -> None:
    port = free_port()
    copies: list[bytes] = []

    def lose_the_first() -> None:
        for is_lost in (True, False):
            receiver = Receiver(port)
            envelope, text = receiver.take()
            copies.append(text)
            if not is_lost:
                receiver.reply(envelope)
                receiver.socket.linger = 1_000
            receiver.close()

    in_thread(lose_the_first)
    client = Client(broker(port))
    client.send("{source: toil, id: 7}")
    resends: list[None] = []
    assert client.receive(ignore, lambda: resends.append(None)) == "reply"
    assert copies == [b"{source: toil, id: 7}"] * 2
    assert len(resends) == 1
    client.close()


def test_a_slow_manager_gets_a_message_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "REPLY_WARNING_INTERVAL", 0.02)
    port = free_port()
    receiver = Receiver(port)
    client = Client(broker(port))
    client.send("first")
    envelope, _ = receiver.take()
    silences: list[int] = []

    def count(intervals: int) -> None:
        silences.append(intervals)
        if intervals == 3:
            receiver.reply(envelope)

    def resent() -> None:
        raise AssertionError("it is sent again")

    assert client.receive(count, resent) == "reply"
    assert silences[:3] == [1, 2, 3]
    client.send("second")
    assert receiver.take()[1] == b"second"
    client.close()
    receiver.close()


def test_a_broker_that_ends_each_connection_gets_the_message_after_longer_and_longer_pauses(in_thread: Any) -> None:
    port = free_port()
    # ZeroMQ ends a connection that sends more.
    refusing = Receiver(port, maxmsgsize=10)
    client = Client(broker(port))
    client.send("a message of more than ten bytes")
    pauses: list[float] = []
    servers: list[Receiver] = []

    def note() -> None:
        pauses.append(client_module._MAX_RESEND_PAUSE)
        if len(pauses) == 4:
            refusing.close()
            servers.append(Receiver(port))
            in_thread(lambda: servers[0].reply(servers[0].take()[0]))

    assert client.receive(ignore, note) == "reply"
    assert len(pauses) >= 4
    client.close()
    servers[0].close()


def test_the_pauses_between_resends_double_up_to_half_a_minute() -> None:
    resending = client_module._Resending()
    pauses = []
    for _ in range(13):
        resending.schedule()
        pauses.append(resending._pause)
        resending.note_sent()
    assert pauses[:5] == [0.0, 0.05, 0.1, 0.2, 0.4]
    assert pauses[-2:] == [30.0, 30.0]


def test_a_broker_that_has_moved_gets_the_message(monkeypatch: pytest.MonkeyPatch, in_thread: Any) -> None:
    monkeypatch.setattr(client_module, "REPLY_WARNING_INTERVAL", 0.02)
    port = free_port()
    receiver = Receiver(port)
    client = Client(broker(free_port()), lambda: broker(port))
    client.send("moved")
    in_thread(lambda: receiver.reply(receiver.take()[0]))
    assert client.receive(ignore, ignore) == "reply"
    assert client.broker.port == port
    client.close()
    receiver.close()


def test_a_message_over_the_limit_is_not_sent() -> None:
    client = Client(broker(free_port()))
    with pytest.raises(WorkerError, match="the message has 1001 bytes, and may have 1000; put large data"):
        client.send("x" * 1_001)
    client.close()


def test_ids_are_uuids_that_sort_by_time() -> None:
    ids = [uuid.UUID(new_id()) for _ in range(100)]
    assert len(set(ids)) == 100
    for value in ids:
        assert (value.version, value.variant) == (7, uuid.RFC_4122)
    times = [value.int >> 80 for value in ids]
    assert times == sorted(times)
    # YAML must not take an id for a number.
    assert all(isinstance(yaml.safe_load(str(value)), str) for value in ids)
