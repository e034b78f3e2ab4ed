"""The real PyYAML and pprint behind standard input and output.

A line is a JSON list of requests, the answer a line with the list of their results. Values travel as
[type, content], so that types and order are compared exactly:
null ["n"], bool ["b", true], int ["i", "12"], float ["f", bits in hex], str ["s", text], date ["d", "2026-03-14"],
datetime ["t", text without offset, offset in seconds or null], bytes ["y", hex], list ["l", [...]],
dict ["m", [[key, value], ...]], set ["e", [members sorted by their JSON]].
"""

import datetime
import json
import pprint
import struct
import sys

import yaml


class Unlike(Exception):
    """A value that the other side cannot hold: the reason is one that it documents."""


def encode(value, parents=()):
    if id(value) in parents:
        raise Unlike("recursive")
    inner = (*parents, id(value))
    if value is None:
        return ["n"]
    if isinstance(value, bool):
        return ["b", value]
    if isinstance(value, int):
        try:
            return ["i", str(value)]
        except ValueError as error:
            raise Unlike("digits") from error
    if isinstance(value, float):
        return ["f", "nan" if value != value else struct.pack(">d", value).hex()]
    if isinstance(value, str):
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise Unlike("surrogate")
        return ["s", value]
    if isinstance(value, datetime.datetime):
        offset = value.utcoffset()
        text = value.replace(tzinfo=None).isoformat(" ", "microseconds")
        return ["t", text, None if offset is None else int(offset.total_seconds())]
    if isinstance(value, datetime.date):
        return ["d", value.isoformat()]
    if isinstance(value, bytes):
        return ["y", value.hex()]
    if isinstance(value, (list, tuple)):
        return ["l", [encode(item, inner) for item in value]]
    if isinstance(value, dict):
        return ["m", [[encode(key, inner), encode(item, inner)] for key, item in value.items()]]
    if isinstance(value, set):
        return ["e", sorted((encode(item, inner) for item in value), key=json.dumps)]
    raise Unlike(str(type(value)))


def decode(value):
    kind, *content = value
    if kind == "n":
        return None
    if kind in "bs":
        return content[0]
    if kind == "i":
        return int(content[0])
    if kind == "f":
        return float("nan") if content[0] == "nan" else struct.unpack(">d", bytes.fromhex(content[0]))[0]
    if kind == "d":
        return datetime.date.fromisoformat(content[0])
    if kind == "t":
        time = datetime.datetime.fromisoformat(content[0])
        if content[1] is None:
            return time
        return time.replace(tzinfo=datetime.timezone(datetime.timedelta(seconds=content[1])))
    if kind == "y":
        return bytes.fromhex(content[0])
    if kind == "l":
        return [decode(item) for item in content[0]]
    if kind == "m":
        return {decode(key): decode(item) for key, item in content[0]}
    if kind == "e":
        return {decode(item) for item in content[0]}
    raise ValueError(kind)


def answer(request):
    do = request["do"]
    try:
        if do == "load":
            return {"value": encode(yaml.safe_load(request["text"]))}
        value = decode(request["value"])
        if do == "dump":
            return {"text": yaml.dump(value, **request["options"])}
        if do == "pformat":
            return {"text": pprint.pformat(value)}
        if do == "repr":
            return {"text": repr(value)}
    except Unlike as error:
        return {"unlike": str(error)}
    except RecursionError:
        return {"unlike": "depth"}
    # Bad input makes PyYAML raise whatever Python raises there.
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
    raise ValueError(do)


for line in sys.stdin:
    print(json.dumps([answer(request) for request in json.loads(line)]), flush=True)
