"""Workers as people write them beside a framework: PyYAML, pyzmq and its PUBHandler, and nothing of ours."""

import logging
import logging.config
import os
import sys

import yaml
import zmq
import zmq.log.handlers


def publish(config, name, context):
    """Log by the publisher's part of the configuration, on the first port that is free."""
    ports = config["zmq"]["ports"]["logging"]
    addresses = ports.get(name, ports["workers"])
    addresses = addresses if isinstance(addresses, list) else [addresses]
    # A PUB socket that knows its subscribers.
    socket = context.socket(zmq.XPUB)
    for address in addresses:
        try:
            socket.bind(f"tcp://*:{str(address).rpartition(':')[2]}")
            break
        except zmq.ZMQError:
            continue
    handler = zmq.log.handlers.PUBHandler(socket)
    handler.root_topic = name
    handler.setFormatter(logging.Formatter("%(message)s\n"))
    logger = logging.getLogger(name)
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    return logger, socket


def main(name, work):
    with open(sys.argv[1]) as file:
        config = yaml.safe_load(file)
    context = zmq.Context()
    logger, published = publish(config, name, context)
    socket = context.socket(zmq.REQ)
    socket.connect(f"tcp://{config['zmq']['host']}:{config['zmq']['ports']['workers']}")

    def tell(kind, payload=None):
        socket.send_string(yaml.dump({"source": name, "type": kind, "payload": payload}))
        return yaml.safe_load(socket.recv_string())

    # The aggregator comes some time after the bind.
    published.poll(10_000)
    logger.info(f"{name} works with {sys.argv[2:]}")
    kind, payload = work(config, tell, sys.argv[2:])
    reply = tell(kind, payload)
    assert reply["type"] == "ack", reply
    published.close(linger=2_000)
    context.destroy(linger=2_000)
