"""The command line of a worker."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from typing import Any


@dataclass
class CommandLineInterface:
    """An argument parser whose first argument is the configuration file."""

    #: The worker's module, without its package, for the usage message.
    module_name: str
    #: The module's package in dotted notation.
    package: str = "nowcast"
    #: The description in the help.
    description: str | None = None
    #: The parser that `build_parser` makes.
    parser: Any = field(default=None, init=False)

    def build_parser(self, add_help: bool = True) -> None:
        """Make `parser`, which requires a ``config_file``; without `add_help` it can be a parent of other parsers."""
        self.parser = argparse.ArgumentParser(
            prog=f"python -m {self.package}.{self.module_name}", description=self.description, add_help=add_help
        )
        self.parser.add_argument("config_file", help="Configuration file of the nowcast system (YAML)")

    def add_argument(self, *args: Any, **kwargs: Any) -> None:
        """Add an argument or option, as `argparse.ArgumentParser.add_argument` does."""
        self.parser.add_argument(*args, **kwargs)

    def add_date_option(self, name: str, default: Any, help: str) -> None:
        """Add an option whose value is a date in the form YYYY-MM-DD.

        The value has the type of the default: an `arrow.Arrow` (midnight in UTC), as in NEMO_Nowcast, a
        `datetime.datetime` (the same) or a `datetime.date`. The help names format and default.
        """
        kinds = {datetime: _midnight, date: _date}
        shown = f"{default.year:04}-{default.month:02}-{default.day:02}"
        self.parser.add_argument(
            name,
            type=kinds.get(type(default), self.arrow_date),
            default=default,
            help=f"{help} Format: YYYY-MM-DD. Default: {shown}.",
        )

    @staticmethod
    def arrow_date(string: str) -> Any:
        """Return a date in the form YYYY-MM-DD as an `arrow.Arrow`, midnight in UTC.

        Raise `argparse.ArgumentTypeError` for anything else. It needs the package ``arrow``.
        """
        import arrow

        return arrow.Arrow.fromdatetime(_midnight(string))


def _date(string: str) -> date:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", string):
        raise argparse.ArgumentTypeError(f"invalid date {string!r}; use YYYY-MM-DD")
    try:
        return date.fromisoformat(string)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"invalid date {string!r}: {error}") from None


def _midnight(string: str) -> datetime:
    day = _date(string)
    return datetime(day.year, day.month, day.day, tzinfo=timezone.utc)
