import os

from nowcast.workers import plain

plain.main("run_NEMO", lambda config, tell, args: (
    "success", {args[0]: {"weather": tell("need", "weather forecast")["payload"]["12"], "host": os.environ["WHERE"]}}))
