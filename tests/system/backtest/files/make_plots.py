"""Make plots of a run. Those of some nowcasts crash."""

import random
import time

from nemo_nowcast import NowcastWorker

NAME = "make_plots"


def main():
    worker = NowcastWorker(NAME, description=__doc__)
    worker.init_cli()
    worker.cli.add_argument("run")
    worker.cli.add_argument("date")
    worker.run(make_plots, success, failure)


def success(parsed_args):
    return f"success {parsed_args.run}"


def failure(parsed_args):
    return "crash"


def make_plots(parsed_args, config, tell_manager):
    run, date = parsed_args.run, parsed_args.date
    lot = random.Random(f"{run} {date}").random()
    time.sleep(lot / 10)
    if run == "nowcast" and lot < 0.2:
        raise ValueError("no contour")
    with open(f"results/{run}.html", "w") as page:
        page.write(f"<p>{date}\n")
    return {run: {"date": date, "file": page.name}}


if __name__ == "__main__":
    main()
