"""`need` and `tell` for any Python program: in a worker's function, or in a program that the manager launched."""

from __future__ import annotations

import argparse
import atexit
import functools
import logging
import os
from typing import Any

from nowcast_worker.errors import WorkerError
from nowcast_worker.worker import NowcastWorker


def need(key: str, *below: Any, **options: Any) -> Any:
    """Return a part of the manager's checklist, as `NowcastWorker.need` does; ``default=`` is for a key that is not there.

    In a worker's function the worker asks. Another program asks in the name of its run: `NOWCAST_WORKER` and `NOWCAST_YAML` are
    in the environment of each that the manager launches. With `NOWCAST_DEBUG`, nothing is sent.
    """
    return _worker().need(key, *below, **options)


def tell(msg_type: str, payload: Any = None) -> Any:
    """Send a message to the manager, as `NowcastWorker.tell` does, and return the payload of the reply.

    For the name of the sender, see `need`.
    """
    return _worker().tell(msg_type, payload)


def _worker() -> NowcastWorker:
    return NowcastWorker.current or _worker_of_environment(
        os.environ.get("NOWCAST_WORKER", ""), os.environ.get("NOWCAST_YAML", "")
    )


@functools.lru_cache(maxsize=1)
def _worker_of_environment(name: str, config_file: str) -> NowcastWorker:
    """Return a worker with one connection for all calls. The program's logging stays as it is."""
    if not name or not config_file:
        raise WorkerError("set NOWCAST_WORKER and NOWCAST_YAML: this program was not launched by the manager")
    worker = NowcastWorker(name, None, logger=logging.getLogger(name))
    worker.config.load(config_file)
    debug = os.environ.get("NOWCAST_DEBUG", "").lower() not in ("", "0", "false", "f", "no", "n", "off")
    worker._parsed_args = argparse.Namespace(debug=debug)
    atexit.register(worker._disconnect)
    return worker
