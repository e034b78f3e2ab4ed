"""What workers need of NEMO_Nowcast, where that is not installed: the command line, and one message over a REQ socket."""

import argparse

import yaml
import zmq


class NowcastWorker:
    def __init__(self, name, description):
        self.name, self.description = name, description

    def init_cli(self):
        self.cli = argparse.ArgumentParser(description=self.description)
        self.cli.add_argument("config_file")

    def run(self, worker_func, success, failure):
        parsed_args = self.cli.parse_args()
        with open(parsed_args.config_file) as file:
            config = yaml.safe_load(file)
        socket = zmq.Context().socket(zmq.REQ)
        socket.connect(f"tcp://{config['zmq']['host']}:{config['zmq']['ports']['workers']}")
        try:
            payload = worker_func(parsed_args, config, None)
            message_type = success(parsed_args)
        except Exception:
            payload, message_type = None, "crash"
        socket.send_string(yaml.dump({"source": self.name, "type": message_type, "payload": payload}))
        socket.recv_string()
