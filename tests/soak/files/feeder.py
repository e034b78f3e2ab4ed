"""A program that sends the messages of a plain worker, one after the other, with a timeout of its own for each."""

import os
import sys
import time

import yaml
import zmq

name, port, timeout = sys.argv[1], sys.argv[2], int(sys.argv[3])
context = zmq.Context()
ledger = os.open("ledger", os.O_WRONLY | os.O_APPEND)


def note(line):
    os.write(ledger, f"{line}\n".encode())


def connect():
    socket = context.socket(zmq.REQ)
    socket.set(zmq.LINGER, 0)
    socket.connect(f"tcp://localhost:{port}")
    return socket


socket = connect()
number = 0
while not os.path.exists("stop"):
    # The pace of the load.
    time.sleep(0.05)
    if os.path.exists("pause"):
        continue
    number += 1
    identity = f"{name}-{number}"
    worker = "plain" if number % 15 == 0 else "tick"
    payload = {"id": identity, name: identity, "launch": [{"worker": worker, "token": f"{identity}.a"}]}
    note(f"sent {identity} feeder {name} {worker}/{identity}.a")
    socket.send_string(yaml.dump({"source": "feeder", "type": "success", "payload": payload}))
    if not socket.poll(timeout * 1000):
        # A plain worker whose broker was killed gets no reply.
        note(f"gone {identity}")
        socket.close()
        socket = connect()
        continue
    reply = yaml.safe_load(socket.recv_string())
    note(f"ack {identity}" if reply["type"] == "ack" else f"refused {identity} {reply['type']}")
