"""``include:``: one document of a configuration file and the files that it includes, with the errors of the program `nowcast`."""

from __future__ import annotations

import datetime
import glob
import os
from typing import Any

import yaml

_INCLUDE = "include"

_KINDS = {
    type(None): "null",
    bool: "true or false",
    int: "an integer",
    float: "a number",
    datetime.datetime: "a date with a time",
    datetime.date: "a date",
    bytes: "bytes",
    str: "text",
    list: "a list",
    dict: "a mapping",
    set: "a set",
}


def read(config_file: str | os.PathLike[str]) -> Any:
    """Return the content of a configuration file, merged with that of the files that it includes.

    A `ValueError` has all problems of ``include:``, each with its file and line.
    """
    document = _Document()
    document.add(os.fspath(config_file))
    if document.problems:
        raise ValueError("\n".join(document.problems))
    return document.content


class _Source:
    """A file, with the places of its keys."""

    def __init__(self, file: str) -> None:
        self.file = file
        with open(file, encoding="utf-8") as stream:
            loader = yaml.SafeLoader(stream)
            try:
                self._root = loader.get_single_node()
                self.content = None if self._root is None else loader.construct_document(self._root)
            finally:
                loader.dispose()

    def place_of(self, path: list[str]) -> str:
        """Return the file, and the line of the key at the end of a path; empty if the file does not have the key."""
        node, line = self._root, None
        for step in path:
            found = None
            if isinstance(node, yaml.MappingNode):
                for key, value in node.value:
                    if isinstance(key, yaml.ScalarNode) and key.value == step:
                        found, line = value, key.start_mark.line
            elif isinstance(node, yaml.SequenceNode):
                found = node.value[int(step)]
                line = found.start_mark.line
            if found is None:
                return ""
            node = found
        return self.file if line is None else f"{self.file}, line {line + 1}"


class _Document:
    """A document that is being made."""

    def __init__(self) -> None:
        self.content: Any = None
        self.problems: list[str] = []
        self._sources: list[_Source] = []
        #: The files that lead to the one that is read now.
        self._chain: list[str] = []
        #: The included files, and the places that name them.
        self._included: dict[str, str] = {}

    def add(self, file: str) -> None:
        """Add a file and all that it includes."""
        source = _Source(file)
        content, entries = source.content, self._entries(source)
        self._sources.append(source)
        if not self._chain:
            self.content = content
        elif isinstance(content, dict):
            self.content = self._merged(self.content, content, [])
        elif content is not None:
            kind = _KINDS[type(content)]
            self.problems.append(f"{file}: the file must hold a mapping of sections, but it holds {kind}")
        self._chain.append(file)
        for pattern, place in entries:
            for name in _matching(os.path.dirname(file), pattern):
                self._include(name, place)
        self._chain.pop()

    def _entries(self, source: _Source) -> list[tuple[str, str]]:
        """Take ``include:`` out of the content of a file, and return its entries with their places."""
        if not isinstance(source.content, dict) or _INCLUDE not in source.content:
            return []
        include = source.content.pop(_INCLUDE)
        items = [([_INCLUDE, str(at)], item) for at, item in enumerate(include)] if isinstance(include, list) else [([_INCLUDE], include)]
        entries = []
        for path, item in items:
            place = f"{source.place_of(path)}, {_INCLUDE}"
            if isinstance(item, str):
                entries.append((item, place))
            else:
                self.problems.append(f"{place}: must be a file name or a list of them, not {_KINDS[type(item)]}")
        return entries

    def _include(self, file: str, place: str) -> None:
        real = os.path.realpath(file)
        chain = [os.path.realpath(open_file) for open_file in self._chain]
        if real in chain:
            circle = " → ".join([*self._chain[chain.index(real) :], file])
            self.problems.append(f"{place}: the files include each other: {circle}; remove one of these includes")
        elif real in self._included:
            other = self._included[real]
            self.problems.append(f"{place}: {file} is included twice, also in {other}; remove one of them")
        elif not os.path.exists(file):
            self.problems.append(f"{place}: the file {file} does not exist; paths are relative to the file that includes")
        else:
            self._included[real] = place.rpartition(", ")[0]
            try:
                self.add(file)
            except OSError as error:
                self.problems.append(f"{place}: {file} cannot be read: {error.strerror}")

    def _merged(self, there: Any, given: Any, path: list[str]) -> Any:
        """Return a value with one of the last file. Lists are appended; nothing else is given twice."""
        if isinstance(there, dict) and isinstance(given, dict):
            merged = dict(there)
            for key, value in given.items():
                below = [*path, key if isinstance(key, str) else repr(key)]
                merged[key] = self._merged(there[key], value, below) if key in there else value
            return merged
        if isinstance(there, list) and isinstance(given, list):
            return there + given
        *before, last = self._sources
        first = next((place for place in (source.place_of(path) for source in before) if place), before[0].file)
        key = ": ".join(f"entry {int(step) + 1}" if step.isdecimal() else step for step in path)
        self.problems.append(f"{last.place_of(path) or last.file}, {key}: is given twice, also in {first}; remove one of them")
        return there


def _matching(folder: str, pattern: str) -> list[str]:
    """Return the files that a pattern matches, sorted; a name without wildcards always."""
    if not glob.has_magic(pattern):
        return [os.path.join(folder, pattern)]
    found = glob.glob(os.path.join(glob.escape(folder), pattern), recursive=True)
    return sorted(name for name in found if not os.path.isdir(name))
