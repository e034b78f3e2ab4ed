"""Print the public interface of a package of workers as JSON: ``python api.py nemo_nowcast``."""

import importlib
import inspect
import json
import sys

NAMES = ("CommandLineInterface", "Config", "Message", "NextWorker", "NowcastWorker", "WorkerError", "get_web_data")


def parameters(function):
    """Return the parameters in their order, as ``name``, ``name=default``, or ``name=…`` if the default is made."""
    return " ".join(map(shown, inspect.signature(function).parameters.values()))


def shown(parameter):
    name = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}.get(parameter.kind.name, "") + parameter.name
    default = parameter.default
    if default is inspect.Parameter.empty:
        return name
    is_plain = default is None or isinstance(default, (bool, int, float, str))
    return f"{name}={default!r}" if is_plain else f"{name}=…"


def interface(kind):
    if not inspect.isclass(kind):
        return {"()": parameters(kind)}
    if issubclass(kind, Exception):
        return {"bases": " ".join(base.__name__ for base in kind.__mro__[1:])}
    public = [name for name in dir(kind) if not name.startswith("_") or name in ("__contains__", "__getitem__", "__setitem__")]
    methods = {name: parameters(getattr(kind, name)) for name in public if callable(getattr(kind, name))}
    return {"()": parameters(kind), **methods}


def attributes(package):
    """Return the public attributes of instances."""
    instances = {
        "CommandLineInterface": package.CommandLineInterface("sleep"),
        "Config": package.Config(),
        "Message": package.Message("sleep", "success"),
        "NextWorker": package.NextWorker("sleep"),
        "NowcastWorker": package.NowcastWorker("sleep", "A worker."),
    }
    return {name: " ".join(attributes_of(value)) for name, value in instances.items()}


def attributes_of(value):
    return [name for name in dir(value) if not name.startswith("_") and not callable(getattr(value, name))]


if __name__ == "__main__":
    package = importlib.import_module(sys.argv[1])
    described = {name: interface(getattr(package, name)) for name in NAMES}
    print(json.dumps({"interface": described, "attributes": attributes(package)}, indent=1, sort_keys=True, ensure_ascii=False))
