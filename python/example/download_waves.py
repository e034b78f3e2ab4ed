"""Download the wave heights of a day.

The buoy is made up, so that the example needs no network: a worker in production would call `get_web_data`.
"""

import datetime
import logging
import math
from pathlib import Path

from nowcast_worker import NowcastWorker, WorkerError

NAME = "download_waves"
logger = logging.getLogger(NAME)


def main():
    worker = NowcastWorker(NAME, description=__doc__, package="example")
    worker.init_cli()
    worker.cli.add_date_option("--day", default=datetime.date.today(), help="The day of the wave heights.")
    worker.run(download_waves, success, failure)


def success(parsed_args):
    logger.info(f"{parsed_args.day} wave heights downloaded")
    return "success"


def failure(parsed_args):
    logger.critical(f"{parsed_args.day} wave heights not downloaded")
    return "failure"


def download_waves(parsed_args, config, tell_manager):
    if parsed_args.day > datetime.date.today() + datetime.timedelta(days=1):
        # An expected failure: it is logged, and reported as `failure`.
        raise WorkerError("the forecast does not reach so far")
    heights = [round(2 + math.sin(hour / 4), 2) for hour in range(24)]
    file = Path(config["checklist file"]).parent / f"waves-{parsed_args.day}.txt"
    file.write_text("".join(f"{height}\n" for height in heights))
    # The payload: it goes into the checklist, and to the rule.
    return {"day": str(parsed_args.day), "file": str(file), "hours": len(heights)}


if __name__ == "__main__":
    main()
