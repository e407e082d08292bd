"""What fits a JSON schema and what does not, in one table; a schema made strict."""

from __future__ import annotations

from typing import Any

import pytest

from async_copilot.wire.schema import is_schema, is_strict, misfit, strict_schema

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name"],
    "additionalProperties": False,
}
TREE = {
    "$defs": {"Node": {"properties": {"next": {"$ref": "#/$defs/Node"}}, "required": ["id"]}},
    "$ref": "#/$defs/Node",
}

FITS: list[tuple[dict[str, Any], list[Any], list[Any]]] = [
    # a schema, what fits it, what does not
    ({}, [1, "a", None, [], {}], []),
    ({"type": "string"}, ["", "a"], [1, None, ["a"]]),
    ({"type": "integer"}, [1, 2.0, -1], [1.5, True, "1", None]),
    ({"type": "number"}, [1, 1.5], [False, "1"]),
    ({"type": "boolean"}, [True, False], [0, 1, "true"]),
    ({"type": "null"}, [None], [0, "", False]),
    ({"type": ["string", "null"]}, ["a", None], [1, {}]),
    ({"enum": ["a", 1, None]}, ["a", 1, 1.0, None], ["b", True, 0]),
    ({"const": "a"}, ["a"], ["b", None]),
    (PERSON, [{"name": "Ann"}, {"name": "Ann", "age": 3}], [{}, {"name": 1}, [], "Ann"]),
    (PERSON, [], [{"name": "Ann", "age": -1}, {"name": "Ann", "born": 1}]),
    ({"additionalProperties": {"type": "integer"}}, [{"a": 1}, 5], [{"a": "1"}]),
    ({"items": {"type": "integer"}}, [[], [1, 2], "a"], [[1, "2"]]),
    ({"minItems": 1, "maxItems": 2}, [[1], [1, 2], "abc"], [[], [1, 2, 3]]),
    ({"minLength": 1, "maxLength": 2}, ["a", "ab", []], ["", "abc"]),
    ({"exclusiveMinimum": 0, "exclusiveMaximum": 1}, [0.5, "a"], [0, 1]),
    ({"maximum": 1}, [1], [2]),
    ({"anyOf": [{"type": "string"}, PERSON]}, ["a", {"name": "Ann"}], [1, {"name": 2}]),
    ({"oneOf": [{"type": "string"}, {"type": "null"}]}, ["a", None], [1]),
    ({"allOf": [{"minimum": 1}, {"maximum": 2}]}, [1, 2], [0, 3]),
    (TREE, [{"id": 1}, {"id": 1, "next": {"id": 2}}], [{"id": 1, "next": {}}, {}]),
    ({"$ref": "#/nowhere"}, [1], []),
    ({"$ref": "#/nowhere/at/all"}, [1], []),
    ({"allOf": [{"type": "string"}], "items": {"$ref": "#/allOf/0"}}, ["a"], [["a"]]),
    ({"anyOf": [{"type": "null"}, {"items": {"$ref": "#/anyOf/0"}}]}, [None, [None]], [[1]]),
    ({"anyOf": [{"items": {"$ref": "#/anyOf/7"}}]}, [[1]], []),
    ({"$ref": "https://elsewhere"}, [1], []),
    ({"properties": {"never": False, "any": True}}, [{"any": 1}], [{"never": 1}]),
    ({"$defs": {"a/b~": {"type": "null"}}, "$ref": "#/$defs/a~1b~0"}, [None], [1]),
    ({"type": "unheard of"}, [], [1]),
]


@pytest.mark.parametrize(("schema", "fitting", "wrong"), FITS)
def test_what_fits_a_schema(schema: dict[str, Any], fitting: list[Any], wrong: list[Any]) -> None:
    assert [(value, misfit(value, schema)) for value in fitting] == [(v, "") for v in fitting]
    assert [value for value in wrong if not misfit(value, schema)] == []


@pytest.mark.parametrize(
    ("value", "schema", "said"),
    [
        ({"age": 1}, PERSON, "the answer lacks 'name'"),
        ({"name": "Ann", "age": "3"}, PERSON, "the answer.age is not integer, but '3'"),
        ([{"name": None}], {"items": PERSON}, "the answer[0].name is not string, but None"),
        ({"name": "Ann", "x": 1}, PERSON, "the answer has 'x', which the schema does not know"),
        ("c", {"enum": ["a", "b"]}, "the answer is 'c', not one of ['a', 'b']"),
        (-1, {"minimum": 0}, "the answer is beyond minimum 0"),
        (1, {"anyOf": [{"type": "null"}, {"const": 2}]}, "the answer fits none of 2 anyOf"),
    ],
)
def test_a_misfit_says_where_and_what(value: Any, schema: dict[str, Any], said: str) -> None:
    assert misfit(value, schema) == said


def test_a_schema_that_leads_to_itself_and_a_deep_value_come_to_an_end() -> None:
    assert "nested too deeply" in misfit(1, {"$ref": "#"})
    deep: Any = {"id": 1}
    for _ in range(5_000):
        deep = {"id": 1, "next": deep}
    assert "nested too deeply" in misfit(deep, TREE)


@pytest.mark.parametrize(
    ("given", "schema"),
    [
        ({"type": "object"}, True),
        ({"type": ["object", "null"]}, True),
        ({"properties": {}}, True),
        ({"$ref": "#/$defs/A", "$defs": {}}, True),
        ({"type": "json_object"}, False),
        ({"type": "json_schema", "json_schema": {"schema": {}}}, False),
        ({"type": "text"}, False),
        ({"not": {"type": "null"}}, True),
        ({"type": {}}, False),
        ({}, False),
    ],
)
def test_a_schema_is_told_from_the_apis_own_form(given: dict[str, Any], schema: bool) -> None:
    assert is_schema(given) is schema


EMPTY = {"type": "object", "properties": {}, "additionalProperties": False, "required": []}
STRICT: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (
        {"type": "object", "properties": {"a": {"type": "string", "default": "x"}}},
        {
            "type": "object",
            "properties": {"a": {"type": "string"}},
            "additionalProperties": False,
            "required": ["a"],
        },
    ),
    (
        {"type": "array", "items": {"properties": {"default": {"type": "null"}}}},
        {
            "type": "array",
            "items": {
                "properties": {"default": {"type": "null"}},
                "additionalProperties": False,
                "required": ["default"],
            },
        },
    ),
    ({"enum": [{"default": 1}]}, {"enum": [{"default": 1}]}),
    (
        {"items": {"$ref": "#/$defs/A", "description": "an A"}},
        {"items": {"description": "an A", "anyOf": [{"$ref": "#/$defs/A"}]}},
    ),
    ({"anyOf": [{"type": "object", "properties": {}}]}, {"anyOf": [EMPTY]}),
    ({"oneOf": [EMPTY], "discriminator": {"propertyName": "kind"}}, {"anyOf": [EMPTY]}),
    ({"allOf": [{"$ref": "#/$defs/A"}]}, {"anyOf": [{"$ref": "#/$defs/A"}]}),
    (
        {"type": "object", "properties": {"b": EMPTY, "a": EMPTY}, "required": ["a", "b"]},
        {
            **EMPTY,
            "properties": {"b": EMPTY, "a": EMPTY},
            "required": ["a", "b"],
        },
    ),
    ({"items": {"$ref": "#"}}, {"items": {"$ref": "#"}}),
    (
        {"$defs": {"A": {"type": "object", "properties": {}}}, "$ref": "#/$defs/A"},
        {"$defs": {"A": EMPTY}, **EMPTY},
    ),
]


@pytest.mark.parametrize(("given", "strict"), STRICT)
def test_a_schema_made_strict(given: dict[str, Any], strict: dict[str, Any]) -> None:
    before = repr(given)
    assert strict_schema(given) == strict
    assert strict_schema(strict) == strict
    assert is_strict(strict)
    assert repr(given) == before, "the caller's schema stays as it is"


@pytest.mark.parametrize(
    "free",
    [
        {"type": "object", "additionalProperties": {"type": "integer"}},
        {"type": "object"},
        {"type": ["object", "null"]},
        {"type": "array"},
        {"type": "array", "items": {}},
        {"type": "array", "prefixItems": [{"type": "integer"}], "items": {"type": "null"}},
        {"type": "array", "items": {"type": "integer"}, "uniqueItems": True},
        {"type": "string", "not": {"const": "a"}},
        {"allOf": [{"type": "string"}, {"minLength": 1}]},
        {"$defs": {"A": {"type": "object"}}, "$ref": "#/$defs/A/properties"},
        {"description": "anything"},
        True,
    ],
)
def test_what_the_strict_mode_does_not_know_is_sent_without_it(free: Any) -> None:
    for name in ("properties", "not", "items"):  # names of the caller's, too
        schema = strict_schema({"type": "object", "properties": {name: free}})
        assert schema["required"] == [name]
        assert not is_strict(schema)
    assert is_strict(strict_schema({"type": "object", "properties": {"not": {"type": "null"}}}))


@pytest.mark.parametrize("odd", [{"type": 5}, {"properties": 5}, {"type": "object", "anyOf": 5}])
def test_what_is_not_a_schema_is_left_to_its_server(odd: dict[str, Any]) -> None:
    assert not is_strict(odd)


def test_a_schema_that_leads_to_itself_in_two_ways_is_checked_in_time() -> None:
    """Each level would double the work: 2**60 checks."""
    node = {
        "anyOf": [
            {"type": "object", "properties": {"a": {"$ref": "#/$defs/N"}, kind: {"type": "null"}}}
            for kind in ("x", "y")
        ]
    }
    schema = {"$defs": {"N": node}, "$ref": "#/$defs/N"}
    value: Any = {"x": 1, "y": 1}
    for _ in range(60):
        value = {"a": value}
    assert "fits none of 2 anyOf" in misfit(value, schema)
