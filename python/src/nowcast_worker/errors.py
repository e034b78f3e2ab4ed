"""The exception of the package."""


class WorkerError(Exception):
    """A failure that a worker expects, or that the manager's refusal causes.

    A worker function raises it to report its failure message to the manager. A text, if it has one, is logged.
    """
