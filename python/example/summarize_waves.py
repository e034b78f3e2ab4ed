"""Summarize the wave heights of a day, and tell the manager of it half-way."""

import datetime
import logging
from pathlib import Path

from nowcast_worker import NowcastWorker, need, tell

NAME = "summarize_waves"
logger = logging.getLogger(NAME)


def main():
    worker = NowcastWorker(NAME, description=__doc__, package="example")
    worker.init_cli()
    worker.cli.add_date_option("--day", default=datetime.date.today(), help="The day of the wave heights.")
    worker.run(summarize_waves, success, failure)


def success(parsed_args):
    logger.info(f"{parsed_args.day} wave heights summarized")
    return "success"


def failure(parsed_args):
    logger.critical(f"{parsed_args.day} wave heights not summarized")
    return "failure"


def summarize_waves(parsed_args, config, tell_manager):
    # From the checklist: what download_waves returned.
    file = Path(need("waves", "file"))
    heights = [float(line) for line in file.read_text().split()]
    tell("progress", {"lowest": min(heights)})
    return {"highest": max(heights)}


if __name__ == "__main__":
    main()
