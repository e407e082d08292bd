"""The JSON form of a script. No I/O.

An answer is a string or an object with the fields of ``FakeAnswer``; a fault is
``{"Stall": {"after": 2, "seconds": 1}}``, a pace is a number or the fields of ``Pace``, a tool
call has the fields of ``FakeToolCall``, ``when`` those of ``When``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from .answer import FakeAnswer, FakeToolCall, Pace
from .faults import FAULTS, Fault

__all__ = ["answer_from", "script_from", "script_from_json"]


def script_from_json(text: str | bytes) -> FakeAnswer | list[FakeAnswer]:
    """The script in a JSON text: one answer, or a list of them.

    Raises ValueError that names the place and the key.
    """
    try:
        data = json.loads(text)
    except ValueError as error:
        raise ValueError(f"the script is not JSON: {error}") from None
    except RecursionError:
        raise ValueError("the script is not JSON: it is nested too deeply") from None
    return script_from(data)


def script_from(data: object) -> FakeAnswer | list[FakeAnswer]:
    """The script in a JSON value. Raises ValueError that names the place and the key."""
    if not isinstance(data, list):
        return answer_from(data, "the answer")
    return [answer_from(item, f"answer {number}") for number, item in enumerate(data, 1)]


def answer_from(data: object, where: str) -> FakeAnswer:
    """One answer: a text, or an object with the fields of ``FakeAnswer``.

    Raises ValueError that names the place and the key.
    """
    if isinstance(data, str):
        return FakeAnswer(data)
    values = dict(_keys(FakeAnswer, data, where))
    if "fault" in values:
        faults = values["fault"]
        listed = faults if isinstance(faults, list | tuple) else [faults]
        values["fault"] = tuple(_fault(item, f"the fault of {where}") for item in listed)
    if isinstance(values.get("pace"), Mapping):
        values["pace"] = _make(Pace, values["pace"], f"the pace of {where}")
    calls = values.get("tool_calls", ())
    if not isinstance(calls, list | tuple):
        raise ValueError(f"the tool_calls of {where} are {calls!r}, not a list")
    values["tool_calls"] = tuple(_call(call, f"a tool call of {where}") for call in calls)
    answer: FakeAnswer = _make(FakeAnswer, values, where)
    return answer


def _call(data: object, where: str) -> Any:
    return data if isinstance(data, FakeToolCall) else _make(FakeToolCall, data, where)


def _fault(data: object, where: str) -> Any:
    if isinstance(data, Fault):
        return data
    if not isinstance(data, Mapping) or len(data) != 1 or next(iter(data)) not in FAULTS:
        known = ", ".join(FAULTS)
        raise ValueError(f'{where} is {data!r}, not {{"KIND": {{...}}}} with KIND of {known}')
    ((kind, values),) = data.items()
    return _make(FAULTS[kind], values, where)


def _make(kind: type[Any], data: object, where: str) -> Any:
    try:
        return kind(**_keys(kind, data, where))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{where}: {error}") from None


def _keys(kind: type[Any], data: object, where: str) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise ValueError(f"{where} is {data!r}, not an object")
    known = [entry.name for entry in fields(kind)]
    if unknown := [key for key in data if key not in known]:
        raise ValueError(f"{where} has no {unknown[0]!r}; it has {', '.join(known)}")
    return data
