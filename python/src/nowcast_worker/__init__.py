"""Workers in Python for nowcast and NEMO_Nowcast: programs that do one job, report to the manager, and exit.

The classes have the interface of those in ``nemo_nowcast``, so a worker that was written for NEMO_Nowcast works
when its import line is changed. `need` and `tell` are additions.
"""

from nowcast_worker.cli import CommandLineInterface
from nowcast_worker.config import Config
from nowcast_worker.errors import WorkerError
from nowcast_worker.message import Message
from nowcast_worker.next_worker import NextWorker
from nowcast_worker.script import need, tell
from nowcast_worker.web import get_web_data
from nowcast_worker.worker import NowcastWorker

__all__ = [
    "CommandLineInterface",
    "Config",
    "Message",
    "NextWorker",
    "NowcastWorker",
    "WorkerError",
    "get_web_data",
    "need",
    "tell",
]
