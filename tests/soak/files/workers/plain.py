"""A worker as people write them for NEMO_Nowcast: PyYAML and pyzmq, one message, a wait without a limit for the reply."""

import os
import pathlib
import sys

import yaml
import zmq

config_file, argument = sys.argv[1:3]
token = argument.removeprefix("token=")
run = os.environ["NOWCAST_RUN_ID"]
ledger = os.open(pathlib.Path(config_file).parent / "ledger", os.O_WRONLY | os.O_APPEND)


def note(line):
    os.write(ledger, f"{line}\n".encode())


note(f"start plain {token} {run}")
with open(config_file) as file:
    config = yaml.safe_load(file)
socket = zmq.Context().socket(zmq.REQ)
socket.connect(f"tcp://{config['zmq']['host']}:{config['zmq']['ports']['workers']}")
slot = f"s{int(run) % 4}"
payload = {"id": token, slot: token, "launch": [{"worker": "tick", "token": f"{token}.t"}]}
note(f"sent {token} plain {slot} tick/{token}.t")
socket.send_string(yaml.dump({"source": "plain", "type": "success", "payload": payload}))
reply = yaml.safe_load(socket.recv_string())
note(f"ack {token}" if reply["type"] == "ack" else f"refused {token} {reply['type']}")
