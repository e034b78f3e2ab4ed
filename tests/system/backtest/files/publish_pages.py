"""Publish plots on the web."""

from nemo_nowcast import NowcastWorker

NAME = "publish_pages"


def main():
    worker = NowcastWorker(NAME, description=__doc__)
    worker.init_cli()
    worker.cli.add_argument("date")
    worker.run(publish_pages, success, failure)


def success(parsed_args):
    return "success"


def failure(parsed_args):
    return "crash"


def publish_pages(parsed_args, config, tell_manager):
    return {"page": "results/web/index.html", "date": parsed_args.date}


if __name__ == "__main__":
    main()
