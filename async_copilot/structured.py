"""The format an answer must have in; the request's field, and the value of a text, out. No I/O.

A class says what it is by ``model_json_schema()``, as those of pydantic do; a dict is a JSON
schema, or the API's own form. ("Structured model outputs" of the OpenAI documentation, which
vLLM, llama.cpp, Ollama, Mistral, Groq, OpenRouter and Gemini's compatible endpoint share.)
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

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


def check_format(wanted: object) -> None:
    """Raise InvalidRequestError for what cannot be a response_format."""
    if not isinstance(wanted, Mapping) and not _is_class(wanted):
        raise InvalidRequestError(
            f"response_format is {wanted!r:.80}",
            hint=Hint("give a class with model_json_schema(), or a JSON schema as a dict"),
        )


def wire_format(wanted: Any) -> dict[str, Any]:
    """Return the request's ``response_format``. Raises InvalidRequestError."""
    check_format(wanted)
    if _is_class(wanted):
        return _form(_name(wanted), strict_schema(wanted.model_json_schema()))
    return _form(_name(wanted), dict(wanted)) if is_schema(wanted) else dict(wanted)


def _form(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    named = {
        "name": _NOT_IN_A_NAME.sub("_", name)[:64],
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
        return _value(wanted, _unfenced(answer.text.strip()))
    except (ValueError, TypeError, RecursionError) as error:
        raise _error(answer, wanted, _words(error)) from error


def _check_whole(answer: Answer) -> None:
    failure: CopilotError
    if answer.end is None:
        failure = ReplyInUseError("this reply has not ended", hint=Hint("read it to its end first"))
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
    if _is_class(wanted) and hasattr(wanted, "model_validate_json"):
        return wanted.model_validate_json(text)
    value = json.loads(text)
    if _is_class(wanted):
        if hasattr(wanted, "model_validate"):
            return wanted.model_validate(value)
        _check_fit(value, wanted.model_json_schema())
        return wanted(**value)
    schema = wanted if is_schema(wanted) else wanted.get("json_schema", {}).get("schema", {})
    if wanted.get("type") == "json_object":
        schema = {"type": "object"}
    _check_fit(value, schema)
    return value


def _unfenced(text: str) -> str:
    """Return JSON without the Markdown fence that some models put around it."""
    if text.startswith("```") and text.endswith("```"):
        return text.partition("\n")[2].removesuffix("```")
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
    failure = AnswerFormatError(
        f"the answer is not {_name(wanted)}, which response_format asks for: {words}; "
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


def _name(wanted: Any) -> str:
    if isinstance(wanted, type):
        return wanted.__name__
    title = wanted.get("title")
    return title if isinstance(title, str) and title else "answer"
