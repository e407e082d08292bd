"""What gateways make of other servers' streams: gluing, renumbering, repeating, wrapping errors."""

from __future__ import annotations

from typing import Any

from async_copilot.errors import MalformedDataError
from async_copilot.wire.answer import End
from async_copilot.wire.choice import Choice

from .field import SEEN, calls, chunk, ends, failed, message, piece, row, said
from .row import DONE, call

__all__ = ["ROWS"]

TWO = (call("f", '{"x":1}', id="a"), call("f", '{"x":2}', index=1))
ONE = (call("f", '{"x":1}', id="a"),)

GLUED = [
    row("several calls in one piece", "OmniRoute#11043",
        calls(piece('{"x":1}{"x":2}{"x":1}', "f", index=0, id="a")), ends(), calls=TWO),
    row("several calls, glued where a piece was cut", "OmniRoute#11043",
        calls(piece('{"x":', "f", index=0, id="a")), calls(piece('1} {"x"', index=0)),
        calls(piece(":2}", index=0)), ends(), calls=TWO),
    row("several calls under one id, each with its name", "OmniRoute#11043",
        *(calls(piece(text, "f", index=0, id="a")) for text in ('{"x":1}', '{"x":2}')),
        ends(), calls=TWO),
    row("another call in pieces, behind complete arguments", SEEN,
        calls(piece('{"x":1}', "f", index=0, id="a")), calls(piece('{"x"', index=0)),
        calls(piece(":2}", index=0)), calls(piece(" junk", index=0)), ends(), calls=TWO),
    row("the whole arguments twice in one piece", "async-openai#329",
        calls(piece('{"x":1}{"x": 1}', "f", index=0, id="a")), ends(), calls=ONE),
    row("{} and the arguments in one piece", "openai-agents-js#712",
        calls(piece('{}{"x":1}', "f", index=0, id="a")), ends(), calls=ONE),
    row("arguments so far, each time made whole JSON", "hermes-agent#25046",
        calls(piece('{"x":"A","l":[1]}', "f", index=0, id="a")),
        calls(piece('{"x":"AB","l":[1,2]}', "f", index=0, id="a")), ends(),
        calls=(call("f", '{"x":"AB","l":[1,2]}', id="a"),)),
    row("the next piece repeats more than there was, and then goes on", SEEN,
        calls(piece('{"x', "f", index=0, id="a")), calls(piece('{"x":', index=0)),
        calls(piece("1}", index=0)), ends(), calls=ONE),
    row("what comes behind arguments that are not JSON", SEEN,
        calls(piece("{x}", "f", index=0, id="a")), calls(piece('{"x":2}', index=0)), ends(),
        calls=(call("f", "{x}", id="a"), call("f", '{"x":2}', index=1))),
    row("arguments of another kind, or in another list, are another call", SEEN,
        calls(piece('{"x":[1,2]}', "f", index=0, id="a")), calls(piece('{"x":[1]}', index=0)),
        calls(piece('["x"]', index=0)), ends(),
        calls=(call("f", '{"x":[1,2]}', id="a"), call("f", '{"x":[1]}', index=1),
               call("f", '["x"]', index=2))),
    row("what is not JSON stays as it came", SEEN,
        calls(piece('{"x":1}{y}', "f", index=0, id="a")), ends(),
        calls=(call("f", '{"x":1}{y}', id="a"),)),
]  # fmt: skip

NUMBERED = [
    row("a call's head under another's index, its arguments under its own", "agno#8880",
        calls(piece("", "f", index=0, id="a")), calls(piece('{"x":1}', index=0)),
        calls(piece("", "g", index=0, id="b")), calls(piece('{"y"', index=1)),
        calls(piece(":2}", index=1)), ends(),
        calls=(call("f", '{"x":1}', id="a"), call("g", '{"y":2}', id="b", index=1))),
    row("the name under index 0, the arguments under 1, no id", SEEN,
        calls(piece("", "f", index=0)), calls(piece('{"x"', index=1)),
        calls(piece(":1}", index=1)), ends(), calls=(call("f", '{"x":1}'),)),
    row("parallel calls in one list, all of index 0", "Gemini behind gateways",
        calls(piece("{}", "roll", index=0), piece("{}", "roll", index=0)), ends(),
        calls=(call("roll", "{}"), call("roll", "{}", index=1))),
    row("a whole message gives calls ids of its own", SEEN,
        calls(piece('{"x":1}', "f", index=0, id="a")),
        message(None, tool_calls=[piece('{"x": 1}', "f", id="z")]), calls=ONE),
    row("a function that is a name, the arguments beside it", SEEN,
        calls({"id": "a", "function": "f", "arguments": '{"x":1}'}), ends(), calls=ONE),
    row("a whole message has another call, and more of the last one", SEEN,
        calls(piece('{"x"', "f", index=0, id="a")),
        message(None, tool_calls=[piece('{"x":1}', "f", id="a"), piece("{}", "g", id="b")]),
        calls=(call("f", '{"x":1}', id="a"), call("g", "{}", id="b", index=1))),
    row("a whole message whose calls are others", SEEN,
        calls(piece("{}", "f", index=0, id="a")),
        message(None, tool_calls=[piece("[1]", "g", id="z")]),
        calls=(call("f", "{}", id="a"), call("g", "[1]", id="z", index=1))),
    row("parameters in place of arguments", "Llama 3 behind gateways",
        calls({"id": "a", "function": {"name": "f", "parameters": {"x": 1}}}), ends(),
        calls=(call("f", '{"x": 1}', id="a"),)),
]  # fmt: skip

TEXTS = [
    row("messages so far and the whole one at the end, no deltas", "Perplexity",
        *({"choices": [{"message": {"content": text}}]} for text in ("He", "Hell", "Hello")),
        message("Hello") | {"object": "chat.completion.chunk"}, texts=("He", "ll", "o")),
    row("text beside an empty delta, and text in the delta", SEEN,
        chunk({}, text="a"), chunk({"content": None}, text="b"), chunk({"text": "c"}),
        chunk({"content": "d", "text": "no"}), ends(), texts=("a", "b", "c", "d")),
    row("choices that are an object which only finishes", SEEN,
        said("a"), {"choices": {"finish_reason": "stop"}}, DONE, texts=("a",)),
    row("a message that is a text, beside an empty delta", SEEN,
        chunk({}, message="a"), ends(), texts=("a",)),
    row("a message that is neither, beside a delta of a role", SEEN,
        chunk({"role": "assistant"}, message=["x"]), said("a"), ends(), texts=("a",)),
    row("log probabilities with more than lists of tokens", SEEN,
        said("a", logprobs={"content": [{"token": "a"}], "top": 1}),
        said("b", logprobs={"content": [{"token": "b"}], "top": 2}), ends(), texts=("a", "b")),
    row("a finish reason that is an object", SEEN,
        said("a"), chunk({}, {"type": "stop"}), texts=("a",)),
    row("indexes of two choices as texts and as fractions", SEEN,
        said("a", index="0"), said("b", index=1.0), ends(index="0"), ends(index=1.0), DONE,
        n=2, texts=("a",), others=(Choice(1, "b", "", "", [], "stop"),)),
    row("a part whose text is its value", SEEN,
        said({"type": "text", "value": "a"}), ends(), texts=("a",)),
    row("a refusal in parts", SEEN,
        chunk({"refusal": [{"text": "no"}]}), chunk({"refusal": {"text": "!"}}),
        chunk({"refusal": True}), ends(), refusal="no!"),
    row("reasoning that is an object of summaries", "OpenAI's Responses behind gateways",
        chunk({"reasoning": {"content": None, "summary": [{"type": "text", "text": "hm"}]}}),
        ends(), reasoning="hm"),
    *(
        row(f"the finish reason {reason!r} is none", SEEN,
            said("a", reason), DONE, texts=("a",), finish=None, end=End.DONE)
        for reason in ("NULL", "undefined", " ", 0)
    ),
    failed("a number of more digits than are read", SEEN, 'data: {"choices":[{"delta":{"content":'
           "123456789012345678901234567890}}]}", error=MalformedDataError, says="too many digits"),
]  # fmt: skip

IN_CHOICE: dict[str, Any] = {"error": {"code": 502, "message": "provider broke"}}
ERRORS = [
    failed("an error in a choice that goes on", "OpenRouter",
           said("a"), said("b", **IN_CHOICE), DONE,
           texts=("a", "b"), chunks=2, says="provider broke", code="502"),
    failed("an error in a choice that says stop", "OpenRouter",
           said("a"), ends("stop", **IN_CHOICE), texts=("a",), chunks=2, finish="stop",
           says="provider broke", code="502"),
    failed("an error in a delta", SEEN, said("a"), chunk(IN_CHOICE), DONE,
           texts=("a",), chunks=2, says="provider broke", code="502"),
    failed("the reason deep in the error's value", "vercel/ai#18303",
           {"error": {"code": "error", "message": "Stream error occurred", "value": {
               "error_type": "validation_error", "error_message": "context length exceeded"}}},
           says="Stream error occurred (context length exceeded)", code="error"),
    failed("a value that explains nothing", SEEN,
           {"error": {"message": "too high", "value": 5}}, says=": too high"),
    row("an error that says success is none", SEEN,
        said("a") | {"error": {"code": 0, "message": "success"}},
        said("b", error={"code": "0", "message": ""}), ends(), texts=("a", "b")),
]  # fmt: skip

ROWS = [*GLUED, *NUMBERED, *TEXTS, *ERRORS]
