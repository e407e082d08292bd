"""The format an answer must have in; the request's field, and the value of a text, out. No I/O.

A class says what it is by ``model_json_schema()``, as those of pydantic do; pydantic's
TypeAdapter, which stands for any other type, by ``json_schema()``; a dict is a JSON schema,
or the API's own form. ("Structured model outputs" of the OpenAI documentation, which
vLLM, llama.cpp, Ollama, Mistral, Groq, OpenRouter and Gemini's compatible endpoint share.)
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from .errors import (
    AnswerFormatError,
    CopilotError,
    Hint,
    InvalidRequestError,
    ReplyInUseError,
    TruncatedError,
)
from .wire.answer import Answer
from .wire.schema import is_schema, is_strict, misfit, strict_schema

__all__ = ["check_format", "parsed_answer", "wire_format"]

_NOT_IN_A_NAME = re.compile(r"[^A-Za-z0-9_-]+")
_LANGUAGE = re.compile(r"[ \t]*(?:json\w*|\w*[ \t\r]*\n)", re.IGNORECASE)


def check_format(wanted: object) -> None:
    """Raise InvalidRequestError for what cannot be a response_format."""
    is_format = (
        is_schema(wanted) or isinstance(wanted.get("type"), str)
        if isinstance(wanted, Mapping)
        else _is_class(wanted) or _is_adapter(wanted)
    )
    if not is_format:
        raise InvalidRequestError(
            f"response_format is {wanted!r:.80}",
            hint=Hint(
                "give a class with model_json_schema(), such as a pydantic model; for another "
                "type its pydantic.TypeAdapter; or a JSON schema as a dict"
            ),
        )


def wire_format(wanted: Any) -> dict[str, Any]:
    """Return the request's ``response_format``. Raises InvalidRequestError."""
    check_format(wanted)
    if isinstance(wanted, Mapping):
        return _form(_name(wanted), dict(wanted)) if is_schema(wanted) else dict(wanted)
    try:
        schema = wanted.model_json_schema() if _is_class(wanted) else wanted.json_schema()
    except Exception as error:
        raise InvalidRequestError(
            f"response_format: {wanted!r:.80} cannot be written as a JSON schema: {_words(error)}"
        ) from error
    return _form(_name(wanted), strict_schema(schema))


def _form(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    named = {
        "name": _NOT_IN_A_NAME.sub("_", name)[:64] or "answer",
        "schema": schema,
        # A server refuses a schema that its strict mode does not cover; else it does its best.
        "strict": is_strict(schema),
    }
    return {"type": "json_schema", "json_schema": named}


def parsed_answer(wanted: object, answer: Answer) -> Any:
    """Return the value that an answer's text stands for.

    Raises TruncatedError for an answer that was cut off, AnswerFormatError for one that is
    something else, and ReplyInUseError where there is none yet.
    """
    if wanted is None:
        raise InvalidRequestError(
            "the request had no response_format", hint=Hint("give {option}", "response_format=...")
        )
    _check_whole(answer)
    if answer.refusal or not answer.text.strip():
        raise _error(answer, wanted, _in_place_of_text(answer))
    try:
        return _value(wanted, answer.text)
    except (ValueError, TypeError, RecursionError) as error:
        raise _error(answer, wanted, _words(error)) from error


def _check_whole(answer: Answer) -> None:
    failure: CopilotError
    if answer.end is None:
        failure = ReplyInUseError("this reply has not ended", hint=Hint("read it to its end first"))
    elif answer.finish_reason == "content_filter" and answer.text:
        failure = TruncatedError(
            f"the answer was cut off by the server's filter after {len(answer.text):,} characters "
            f"(finish_reason 'content_filter'): {answer.text[-80:]!r}"
        )
    elif answer.finish_reason == "length":
        failure = TruncatedError(
            f"the answer was cut off by the limit of tokens after {len(answer.text):,} characters "
            f"(finish_reason 'length'): {answer.text[-80:]!r}",
            hint=Hint("raise max_tokens, or ask for less"),
        )
    elif not answer.end.ok:
        failure = TruncatedError(
            f"the answer is not whole (end {answer.end.name}): {answer.text[-80:]!r}"
        )
    else:
        return
    raise _with_answer(failure, answer)


def _value(wanted: Any, text: str) -> Any:
    """Return what text stands for. Raises ValueError, TypeError, RecursionError."""
    if isinstance(wanted, Mapping):
        schema = _schema_of(wanted)
        if schema is None:
            return text
        value = _json(text)
        _check_fit(value, schema)
        return value
    if _is_adapter(wanted):
        return wanted.validate_json(_unfenced(text))
    if hasattr(wanted, "model_validate_json"):
        return wanted.model_validate_json(_unfenced(text))
    value = _json(text)
    if hasattr(wanted, "model_validate"):
        return wanted.model_validate(value)
    _check_fit(value, wanted.model_json_schema())
    return wanted(**value)


def _schema_of(wanted: Mapping[str, Any]) -> Any:
    """Return the schema of a dict; None for a form whose text is not JSON, such as "text".

    Servers have it under ``json_schema.schema`` (the API's), or beside the type (llama.cpp).
    """
    if is_schema(wanted):
        return wanted
    kind, inner = wanted["type"], wanted.get("json_schema")
    own = inner.get("schema") if isinstance(inner, Mapping) else wanted.get("schema")
    if kind == "json_object":
        return own or {"type": "object"}
    return own or ({} if kind.startswith("json") else None)


def _json(text: str) -> Any:
    return json.loads(_unfenced(text), parse_constant=_refuse_constant)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _unfenced(text: str) -> str:
    """Return JSON without the Markdown fence that some models put around it."""
    text = text.strip("\ufeff \t\r\n")
    for fence in ("```", "~~~"):
        if text.startswith(fence) and text.endswith(fence):
            inside = text[len(fence) : -len(fence)]
            language = _LANGUAGE.match(inside)
            return inside[language.end() :] if language else inside
    return text


def _words(error: Exception) -> str:
    """Return what an exception says, on one line, without the links of pydantic's."""
    lines = (line.strip() for line in str(error).splitlines())
    said = "; ".join(line for line in lines if not line.startswith("For further information"))
    return said[:300] or type(error).__name__


def _check_fit(value: Any, schema: Mapping[str, Any]) -> None:
    if wrong := misfit(value, schema):
        raise ValueError(wrong)


def _in_place_of_text(answer: Answer) -> str:
    if answer.refusal:
        return f"the model refused: {answer.refusal[:300]}"
    if answer.tool_calls:
        return f"it calls tools: {', '.join(call.name for call in answer.tool_calls)[:300]}"
    return f"it has no text (finish_reason {answer.finish_reason!r})"


def _error(answer: Answer, wanted: object, words: str) -> AnswerFormatError:
    name = _name(wanted)
    asked_for = f"{name}, which" if name else "what"
    failure = AnswerFormatError(
        f"the answer is not {asked_for} response_format asks for: {words}; "
        f"its text: {answer.text[:200]!r}",
        hint=Hint("ask again; error.body is the whole text"),
        body=answer.text,
    )
    _with_answer(failure, answer)
    return failure


def _with_answer(failure: CopilotError, answer: Any) -> CopilotError:
    failure.reply, failure.status = answer, answer.status
    failure.request_id, failure.retries = answer.request_id, answer.timing.retries
    if failure.body is None:
        failure.body = answer.text
    return failure


def _is_class(wanted: object) -> bool:
    return isinstance(wanted, type) and callable(getattr(wanted, "model_json_schema", None))


def _is_adapter(wanted: object) -> bool:
    """True for a TypeAdapter of pydantic's."""
    names = ("json_schema", "validate_json")
    return not isinstance(wanted, type) and all(callable(getattr(wanted, n, None)) for n in names)


def _name(wanted: Any) -> str:
    """Return what a format is called, "" where it has no name."""
    if isinstance(wanted, type):
        return wanted.__name__
    title = wanted.get("title") if isinstance(wanted, Mapping) else None
    return title if isinstance(title, str) else ""
