"""The frame of every worker: set up, work, report to the manager, exit."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

import yaml
import zmq

from nowcast_worker import logs
from nowcast_worker.broker import Broker
from nowcast_worker.cli import CommandLineInterface
from nowcast_worker.client import REPLY_WARNING_INTERVAL, Client, new_id
from nowcast_worker.config import Config
from nowcast_worker.errors import WorkerError
from nowcast_worker.message import Message
from nowcast_worker.next_worker import NextWorker
from nowcast_worker.web import get_web_data

__all__ = ["NextWorker", "NowcastWorker", "WorkerError", "get_web_data"]

#: Stands for a default that was not given.
_MISSING: Any = object()

#: Replies of a manager that has done what the message asks.
_DONE = ("ack", "checklist cleared")


#: Errors of a configuration that cannot be used.
_UNUSABLE = (OSError, KeyError, ValueError, TypeError, AttributeError, WorkerError, yaml.YAMLError)


class _Unusable(Exception):
    """There is no way to the message broker."""


class _ReportFailed(Exception):
    """The manager could not be told how the work ended."""


class NowcastWorker:
    """A worker: its command line, its log, and its connection to the manager.

    `run` exits with status 0 once the manager knows how the work ended, also for a failure or a crash: then the rules decide
    what follows. The status is 2 when the command line or the configuration is unusable, and 1 when the report failed.
    """

    #: The worker that runs in this process, for `need` and `tell`.
    current: NowcastWorker | None = None

    def __init__(
        self,
        name: str,
        description: str | None,
        package: str = "nowcast.workers",
        config: Config | None = None,
        logger: logging.Logger | None = None,
        cli: CommandLineInterface | None = None,
        worker_func: Callable[..., Any] | None = None,
        success: Callable[..., str] | None = None,
        failure: Callable[..., str] | None = None,
    ) -> None:
        """Make a worker with its name in the message registry, its description and its package for the help."""
        self.name = name
        self.description = description
        self.package = package
        #: The configuration, which `run` reads.
        self.config = Config() if config is None else config
        #: The worker's logger, which `run` makes.
        self.logger: logging.Logger = logger  # type: ignore[assignment]
        #: The command line, which `init_cli` makes.
        self.cli: CommandLineInterface = cli  # type: ignore[assignment]
        self.worker_func: Any = worker_func
        self.success: Any = success
        self.failure: Any = failure
        self._parsed_args: Any = None
        self._client: Client | None = None

    def __repr__(self) -> str:
        """Return name and package."""
        return f"NowcastWorker(name={self.name!r}, package={self.package!r})"

    def init_cli(self) -> None:
        """Make the command line: the configuration file, ``--debug`` and ``--help``.

        Add the worker's own options with ``cli.add_argument`` and ``cli.add_date_option``.
        """
        self.cli = CommandLineInterface(self.name, package=self.package, description=self.description)
        self.cli.build_parser()
        self.cli.parser.add_argument("--debug", action="store_true", help="Log to the console, and send nothing to the manager")

    def run(self, worker_func: Callable[..., Any], success: Callable[..., str], failure: Callable[..., str]) -> None:
        """Do the work, and report to the manager how it ended.

        :param worker_func: Does the job: ``worker_func(parsed_args, config, tell_manager)``. What it returns is the payload of
            the message of success, for the checklist. It raises `WorkerError` for a failure that it expects; any other
            exception is a crash.
        :param success: Logs the success and returns its message type: ``success(parsed_args)``.
        :param failure: Logs the failure and returns its message type: ``failure(parsed_args)``.
        """
        self.worker_func, self.success, self.failure = worker_func, success, failure
        self._parsed_args = self.cli.parser.parse_args()
        self._set_up()
        self._exit_on_signals()
        NowcastWorker.current = self
        try:
            self._start_client()
            self._work_and_report()
        except _Unusable:
            sys.exit(2)
        except SystemExit:
            # A signal, or the worker's own decision: nothing is sent.
            pass
        except _ReportFailed as error:
            self.logger.error(error)
            sys.exit(1)
        finally:
            self.logger.debug("shutting down")
            NowcastWorker.current = None
            self._disconnect()

    def tell_manager(self, msg_type: str, payload: Any = None) -> Message | None:
        """Send a message to the manager and return its reply, or None with ``--debug``, which sends nothing.

        Raise `WorkerError` when the message registry lacks the message or the reply, or the exchange fails.
        """
        words = self._description(msg_type)
        if self._parsed_args.debug:
            self.logger.debug(f"**debug mode** message that would have been sent to manager: ({msg_type} {words})")
            return None
        message = Message(self.name, msg_type, payload, id=new_id())
        message.run = os.environ.get("NOWCAST_RUN_ID") or None
        message.cycle = os.environ.get("NOWCAST_CYCLE") or None
        reply = self._exchange(message, words)
        replies = self.config["message registry"].get("manager") or {}
        if reply.type not in replies:
            raise WorkerError(f"message type not found for manager in {self.config.file} message registry: {reply.type}")
        self.logger.debug(f"received message from {reply.source}: ({reply.type}) {replies[reply.type]}")
        return reply

    def tell(self, msg_type: str, payload: Any = None) -> Any:
        """Send a message while the worker runs, and return the payload of the reply; None with ``--debug``.

        Its rule is called as for every message. Raise `WorkerError` if the manager refuses it.
        """
        reply = self.tell_manager(msg_type, payload)
        if reply is None:
            return None
        if reply.type not in _DONE:
            raise WorkerError(f"the manager refused the message of {self.name}: {reply.type}")
        return reply.payload

    def need(self, key: str, *below: Any, default: Any = _MISSING) -> Any:
        """Return a part of the manager's checklist: the keys from the top down, and the index for a list.

        The worker needs the message type ``need`` in the message registry. Return the default if there is no such key, and always
        with ``--debug``; raise `WorkerError` if there is no default either.
        """
        value = self.tell("need", key)
        path = [key]
        try:
            if value is None:
                raise LookupError
            for part in below:
                path.append(part)
                value = value[part]
        except (LookupError, TypeError):
            if default is not _MISSING:
                return default
            if self._parsed_args.debug:
                raise WorkerError(f"--debug asks no manager for {key!r}; give a default") from None
            raise WorkerError(f"the checklist has no {' / '.join(repr(part) for part in path)}") from None
        return value

    def _set_up(self) -> None:
        """Read the configuration, set up logging, and log the first lines."""
        debug = self._parsed_args.debug
        self.logger = logging.getLogger(self.name)
        try:
            self.config.load(self._parsed_args.config_file)
            _start_sentry(debug)
            lines = logs.set_up(self.config, self.name, debug)
        except _UNUSABLE as error:
            print(f"{self._parsed_args.config_file}: {_text(error)}", file=sys.stderr)
            sys.exit(2)
        # A configuration can disable the loggers that were there before.
        self.logger.disabled = False
        self.logger.info(f"running in process {os.getpid()}")
        self.logger.info(f"read config from {self.config.file}")
        for level, text in lines:
            self.logger.log(level, text)

    def _start_client(self) -> None:
        if self._parsed_args.debug:
            self.logger.debug("**debug mode** no connection to manager")
            return
        try:
            self._connect()
        except (*_UNUSABLE, zmq.ZMQError) as error:
            self.logger.critical(f"cannot connect to the message broker: {_text(error)}")
            raise _Unusable from None

    def _exit_on_signals(self) -> None:
        """Exit on SIGINT and SIGTERM at any point, without a message to the manager."""

        def exit_with(text: str) -> Callable[..., None]:
            def handle(_number: int, _frame: Any) -> None:
                self.logger.info(f"{text} received; shutting down")
                raise SystemExit

            return handle

        # Only the main thread can have handlers.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, exit_with("interrupt signal (SIGINT or Ctrl-C)"))
            signal.signal(signal.SIGTERM, exit_with("termination signal (SIGTERM)"))

    def _work_and_report(self) -> None:
        """Do the work, and send one message about how it ended."""
        try:
            payload = self.worker_func(self._parsed_args, self.config, self.tell_manager)
            msg_type = self.success(self._parsed_args)
            # A payload that cannot be sent is the worker's error.
            yaml.safe_dump(payload)
        except WorkerError as error:
            payload = None
            if str(error):
                self.logger.error(error)
            try:
                msg_type = self.failure(self._parsed_args)
            except Exception:
                msg_type = self._crash()
        except SystemExit:
            raise
        except BaseException:
            payload = None
            msg_type = self._crash()
        try:
            self.tell_manager(msg_type, payload)
        except WorkerError as error:
            raise _ReportFailed(str(error)) from None

    def _crash(self) -> str:
        self.logger.critical("unhandled exception:", exc_info=True)
        return "crash"

    def _connect(self) -> Client:
        if self._client is None:
            broker = Broker.of(self.config)
            self._client = Client(broker, self._read_broker)
            self.logger.info(f"connected to {broker}")
        return self._client

    def _read_broker(self) -> Broker | None:
        """Read the configuration again; None if it cannot be used at the moment."""
        config = Config()
        try:
            config.load(self.config.file)
            return Broker.of(config)
        except _UNUSABLE:
            return None

    def _exchange(self, message: Message, words: Any) -> Message:
        text = message.serialize()
        client = self._connect()

        def warn_of_silence(intervals: int) -> None:
            minutes = round(intervals * REPLY_WARNING_INTERVAL / 60)
            self.logger.warning(
                f"no reply from the manager for {minutes} {'minute' if minutes == 1 else 'minutes'}; still waiting. Are the "
                f"message broker ({client.broker}) and the manager running?"
            )

        def warn_of_resending() -> None:
            self.logger.warning(
                f"the connection to the message broker ({client.broker}) was lost before the reply came; the message is sent again"
            )

        try:
            client.send(text)
            self.logger.debug(f"sent message: ({message.type}) {words}")
            reply = client.receive(warn_of_silence, warn_of_resending)
        except BaseException:
            # The socket still waits for a reply, and could not send.
            self._disconnect()
            raise
        try:
            return Message.deserialize(reply)
        except (yaml.YAMLError, KeyError, TypeError) as error:
            raise WorkerError(f"the manager's reply cannot be read: {error}") from error

    def _disconnect(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _description(self, msg_type: str) -> Any:
        """Return the description of this worker's message type in the message registry."""
        try:
            messages = self.config["message registry"]["workers"][self.name]
        except (KeyError, TypeError):
            raise WorkerError(f"worker not found in {self.config.file} message registry: {self.name}") from None
        try:
            return messages[msg_type]
        except (KeyError, TypeError):
            raise WorkerError(
                f"message type not found for {self.name} worker in {self.config.file} message registry: {msg_type}"
            ) from None


def _start_sentry(debug: bool) -> None:
    """Send errors in the log to Sentry, as NEMO_Nowcast does, if ``SENTRY_DSN`` is set and its package is installed."""
    if debug or not os.environ.get("SENTRY_DSN"):
        return
    try:
        import sentry_sdk
    except ImportError:
        return
    sentry_sdk.init()


def _text(error: BaseException) -> str:
    """Return what an error says. A `KeyError` would quote it."""
    if isinstance(error, KeyError) and error.args:
        text = str(error.args[0])
        return text if " " in text else f"the key {text!r} is missing"
    # `logging.config` has the reason in the cause.
    return str(error) if error.__cause__ is None else f"{error}: {error.__cause__}"
