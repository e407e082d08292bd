"""A value and a JSON schema in, what does not fit out; a schema made strict. No I/O.

The part of JSON Schema (2020-12) that servers hold answers to: ``type``, ``enum``,
``const``, ``properties``, ``required``, ``additionalProperties``, ``items``, bounds of
numbers and lengths, ``anyOf``, ``oneOf``, ``allOf``, ``$ref`` inside the schema. Other
keywords (``pattern``, ``format``) are left to the server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["is_schema", "is_strict", "misfit", "strict_schema"]

Schema = Mapping[str, Any]

_TYPES: dict[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: (
        not isinstance(value, bool)
        and (isinstance(value, int) or (isinstance(value, float) and value.is_integer()))
    ),
}
_BOUNDS: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "minimum": ("number", lambda value, bound: value >= bound),
    "maximum": ("number", lambda value, bound: value <= bound),
    "exclusiveMinimum": ("number", lambda value, bound: value > bound),
    "exclusiveMaximum": ("number", lambda value, bound: value < bound),
    "minLength": ("string", lambda value, bound: len(value) >= bound),
    "maxLength": ("string", lambda value, bound: len(value) <= bound),
    "minItems": ("array", lambda value, bound: len(value) >= bound),
    "maxItems": ("array", lambda value, bound: len(value) <= bound),
}
_KEYWORDS = frozenset(
    {
        *("$defs", "$ref", "$schema", "additionalProperties", "allOf", "anyOf", "const", "enum"),
        *("items", "not", "oneOf", "patternProperties", "prefixItems", "properties", "required"),
    }
)
# What the strict mode does not know (OpenAI, "Structured model outputs", "Supported schemas").
_NOT_STRICT = frozenset(
    {
        *("allOf", "contains", "dependentRequired", "dependentSchemas", "else", "if", "not"),
        *("oneOf", "patternProperties", "prefixItems", "propertyNames", "then", "uniqueItems"),
    }
)


def is_schema(value: Schema) -> bool:
    """True for a JSON schema, False for the API's own ``{"type": "json_object"}`` and kin."""
    kind = value.get("type")
    if kind is None:
        return not _KEYWORDS.isdisjoint(value)
    return isinstance(kind, list) or (isinstance(kind, str) and kind in _TYPES)


# ------------------------------------------------------------------ does a value fit


def misfit(value: Any, schema: Schema) -> str:
    """Return the first thing about value that schema does not allow; "" where it fits."""
    try:
        return next(_misfits(value, schema, _Walk(schema), "the answer"), "")
    except RecursionError:
        return "it, or its schema, is nested too deeply"


@dataclass(slots=True)
class _Walk:
    """One check. fits: what was found of a value and a part of an anyOf, by their ids."""

    root: Schema
    fits: dict[tuple[int, int], bool] = field(default_factory=dict)


def _fits(value: Any, part: Any, walk: _Walk, where: str) -> bool:
    # Each pair is looked at once, or a schema that leads to itself twice takes exponential time.
    pair = (id(value), id(part))
    if pair not in walk.fits:
        walk.fits[pair] = not any(_misfits(value, part, walk, where))
    return walk.fits[pair]


def _misfits(value: Any, schema: Any, walk: _Walk, where: str) -> Iterator[str]:
    if schema is False:
        yield f"{where} is not allowed"
    if not isinstance(schema, Mapping):
        return
    if "$ref" in schema:
        yield from _misfits(value, _target(walk.root, schema["$ref"]), walk, where)
    yield from _wrong_kind(value, schema, where)
    for part in schema.get("allOf", ()):
        yield from _misfits(value, part, walk, where)
    for name in ("anyOf", "oneOf"):
        parts = schema.get(name, ())
        if parts and not any(_fits(value, part, walk, where) for part in parts):
            yield f"{where} fits none of {len(parts)} {name}"
    if isinstance(value, dict):
        yield from _wrong_fields(value, schema, walk, where)
    if isinstance(value, list):
        for place, item in enumerate(value):
            yield from _misfits(item, schema.get("items"), walk, f"{where}[{place}]")


def _wrong_kind(value: Any, schema: Schema, where: str) -> Iterator[str]:
    kinds = schema.get("type", ())
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if kinds and not any(kind in _TYPES and _TYPES[kind](value) for kind in kinds):
        yield f"{where} is not {' or '.join(map(str, kinds))}, but {value!r:.60}"
    allowed = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if allowed is not None and not any(_same(value, one) for one in allowed):
        yield f"{where} is {value!r:.60}, not one of {allowed!r:.200}"
    for name, (kind, fits) in _BOUNDS.items():
        if name in schema and _TYPES[kind](value) and not fits(value, schema[name]):
            yield f"{where} is beyond {name} {schema[name]}"


def _wrong_fields(value: dict[str, Any], schema: Schema, walk: _Walk, where: str) -> Iterator[str]:
    properties = schema.get("properties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{where} lacks {name!r}"
    for name, item in value.items():
        if name in properties:
            yield from _misfits(item, properties[name], walk, f"{where}.{name}")
        elif schema.get("additionalProperties") is False:
            yield f"{where} has {name!r}, which the schema does not know"
        else:
            other = schema.get("additionalProperties")
            yield from _misfits(item, other, walk, f"{where}.{name}")


def _same(value: Any, other: Any) -> bool:
    # 1 is 1.0, but neither is True.
    return bool(value == other) and isinstance(value, bool) is isinstance(other, bool)


def _target(root: Schema, reference: Any) -> Any:
    """Return what a "#/$defs/Name" leads to; None, which allows anything, where it cannot."""
    found: Any = root
    path = str(reference)
    if path != "#" and not path.startswith("#/"):
        return None
    for step in path.split("/")[1:]:
        if isinstance(found, Mapping):
            found = found.get(step.replace("~1", "/").replace("~0", "~"))
        elif isinstance(found, list) and step.isdecimal() and int(step) < len(found):
            found = found[int(step)]
        else:
            return None
    return found


# ------------------------------------------------------------------ strict, as servers want it


def strict_schema(schema: Schema) -> dict[str, Any]:
    """Return the schema as the API's strict mode wants it, which then guarantees the form.

    Every object with properties names them all as required and allows no others, unless it
    says which; no defaults; ``anyOf`` in place of ``oneOf``; nothing beside a ``$ref``, which
    the whole is not.
    """
    whole = _target(schema, schema["$ref"]) if "$ref" in schema else None
    if isinstance(whole, Mapping) and whole is not schema:
        schema = {**whole, **{name: part for name, part in schema.items() if name != "$ref"}}
    strict: dict[str, Any] = _strict(schema)
    return strict


def _strict(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_strict(part) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    strict = {
        name: _strict_part(name, part)
        for name, part in schema.items()
        if name not in ("default", "discriminator")
    }
    if isinstance(names := strict.get("properties"), dict):
        strict.setdefault("additionalProperties", False)
        if "required" not in strict or set(strict["required"]) != set(names):
            strict["required"] = list(names)
    for word in ("oneOf", "allOf"):  # pydantic's, for a union with a tag, and for one class
        parts = strict.get(word, ())
        if parts and "anyOf" not in strict and (word == "oneOf" or len(parts) == 1):
            strict["anyOf"] = strict.pop(word)
    if "$ref" in strict and len(strict) > 1:
        strict["anyOf"] = [{"$ref": strict.pop("$ref")}]
    return strict


def _strict_part(name: str, part: Any) -> Any:
    if name in ("properties", "$defs", "definitions") and isinstance(part, Mapping):
        return {key: _strict(value) for key, value in part.items()}
    if name in ("enum", "const", "examples", "required"):
        return part  # values, not schemas
    return _strict(part)


def is_strict(schema: Schema) -> bool:
    """True for a schema that the strict mode takes as it is."""
    try:
        return bool(strict_schema(schema) == schema) and not _is_open(schema)
    except (AttributeError, KeyError, TypeError):  # not a schema; its server will say so
        return False


_SAYING = frozenset({"type", "properties", "items", "$ref", "anyOf", "enum", "const"})


def _is_open(schema: Any) -> bool:
    """True where a schema leaves open what the strict mode wants to be told."""
    if not isinstance(schema, Mapping) or not _NOT_STRICT.isdisjoint(schema):
        return True
    if schema.keys().isdisjoint(_SAYING):
        return True
    kinds = schema.get("type", "object" if "properties" in schema else "")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if "object" in kinds and ("properties" not in schema or schema["additionalProperties"]):
        return True
    if "array" in kinds and "items" not in schema:
        return True
    parts = [schema["items"]] if "items" in schema else []
    for name in ("properties", "$defs", "definitions"):
        parts += schema.get(name, {}).values()
    return any(map(_is_open, [*parts, *schema.get("anyOf", ())]))
