"""What servers were reported to send, by kind of trouble: three rows and more of each."""

from __future__ import annotations

from typing import Any

from async_copilot.errors import MalformedDataError, StreamError
from async_copilot.wire.answer import End
from async_copilot.wire.choice import Choice

from .row import DONE, Row, call, frames, usage

__all__ = ["ROWS"]

Event = dict[str, Any]
NOTHING = usage(0, 0)


def chunk(delta: Any, finish: Any = None, **more: Any) -> Event:
    """One event with one choice; more is beside its delta. What finishes may be of any type."""
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish} | more]}


def said(text: Any, finish: Any = None, **more: Any) -> Event:
    return chunk({"content": text}, finish, **more)


def ends(finish: str = "stop", **more: Any) -> Event:
    return chunk({}, finish, **more)


def message(text: Any, finish: str | None = "stop", **fields: Any) -> Event:
    """A whole message in place of a delta."""
    choice = {"message": {"role": "assistant", "content": text} | fields, "finish_reason": finish}
    return {"object": "chat.completion", "choices": [{"index": 0} | choice]}


def calls(*pieces: Event) -> Event:
    return chunk({"tool_calls": list(pieces)})


def piece(arguments: Any = None, name: str | None = None, **more: Any) -> Event:
    function = {"name": name, "arguments": arguments}
    given = {key: value for key, value in function.items() if value is not None}
    return {**more, "function": given}


def row(claim: str, source: str, *events: Event | str, **expected: Any) -> Row:
    """Chunks are the events that are data, unless expected says otherwise."""
    told = {"chunks": sum(isinstance(event, dict) for event in events)} | expected
    return Row(claim=claim, source=source, body=frames(*events), **told)


def failed(claim: str, source: str, *events: Event | str, **expected: Any) -> Row:
    told = {"end": End.ERROR, "error": StreamError, "finish": None, "chunks": 0} | expected
    return row(claim, source, *events, **told)


SEEN = "hand-made after public reports"
EMPTY_ERRORS: list[tuple[str, object]] = [
    ("a", ""), ("b", {}), ("c", None), ("d", False), ("e", []), ("f", 0),
    ("g", {"code": None, "message": ""}),
]  # fmt: skip

# ------------------------------------------------------------------ the end, and the index

FINISHES = [
    row("the first, empty chunk says stop, then the model answers", "open-webui#23921",
        chunk({"role": "assistant", "content": ""}, "stop"), said("Hel"), said("lo"), ends(), DONE,
        texts=("Hel", "lo")),
    row("a gateway runs tools, and then the text comes", "litellm#31910",
        calls(piece("{}", "search", index=0, id="c1")), ends("tool_calls"),
        said("It is "), said("sunny."), ends(), DONE,
        texts=("It is ", "sunny."), calls=(call("search", "{}", id="c1"),)),
    row("stop in every chunk", SEEN, *(said(text, "stop") for text in "abc"), texts=tuple("abc")),
    row("text after the finish, and the body's end: cut off", SEEN,
        said("Hel", "stop"), said("lo"), texts=("Hel", "lo"), end=End.TRUNCATED),
    row("text after the finish, and [DONE]: whole", SEEN,
        said("Hel", "stop"), said("lo"), DONE, texts=("Hel", "lo")),
    row('a finish reason of "null" or "" is none', SEEN,
        said("a", "null"), said("b", ""), texts=("a", "b"), finish=None, end=End.TRUNCATED),
]  # fmt: skip

INDEXES = [
    row("the index counts up", "foundry-local#263",
        *(chunk({"content": text}, index=n, message={"content": text})
          for n, text in enumerate(["Whisper", " it"])),
        {"choices": [{"index": 2, "delta": {}, "finish_reason": "stop"}]}, DONE,
        texts=("Whisper", " it")),
    *(
        row(f"the index is always {index!r}", SEEN,
            said("a", index=index), said("b", index=index), ends(index=index), texts=("a", "b"))
        for index in (1, -1, "0", "x", 2**70, None, [1])
    ),
    row("two choices in one event are two, whatever was asked for", SEEN,
        {"choices": [{"index": 0, "delta": {"content": "a"}}, {"index": 1, "delta": "b"}]},
        said("c", index=1), ends(), ends(index=1), DONE,
        texts=("a",), chunks=5, others=(Choice(1, "bc", "", "", [], "stop"),)),
    row("[DONE] while the first of two never spoke is not a good end", SEEN,
        said("a", "stop", index=1), DONE,
        n=2, finish=None, end=End.TRUNCATED, others=(Choice(1, "a", "", "", [], "stop"),)),
    row("[DONE] after a role alone is not a good end", SEEN,
        chunk({"role": "assistant", "content": ""}), DONE, finish=None, end=End.TRUNCATED),
]  # fmt: skip

# ------------------------------------------------------------------ the same once more

REPEATS = [
    row("a whole message in the last chunk", "hermes-browser-extension#11; GoModel#1068",
        said("Hel"), said("lo"), message("Hello") | {"usage": usage(9, 3)}, DONE,
        texts=("Hel", "lo"), usage=usage(9, 3)),
    row("a whole message beside a delta of nothing", "Perplexity",
        *(chunk({"content": text}, message={"content": so_far})
          for text, so_far in (("Hel", "Hel"), ("lo", "Hello"))),
        chunk({"role": "assistant", "content": ""}, "stop", message={"content": "Hello"}),
        texts=("Hel", "lo")),
    row("a whole message that says more", SEEN,
        said("Hel"), chunk(None, "stop", message={"content": "Hello"}), DONE, texts=("Hel", "lo")),
    row("a whole message without the blanks at its beginning", SEEN,
        said("\n\n Hel"), said("lo \n"), message("Hello"), texts=("\n\n Hel", "lo \n")),
    row("another version of the message does not follow it", SEEN,
        said("Hel"), said("lo"), message("Hallo"), texts=("Hel", "lo")),
    row("a whole message repeats reasoning and calls too", SEEN,
        chunk({"reasoning_content": "hm"}), calls(piece('{"a":', "f", index=0, id="c")),
        calls(piece("1}", index=0)),
        message(None, "tool_calls", reasoning_content="hm",
                tool_calls=[piece('{"a":1}', "f", id="c", type="function")]),
        reasoning="hm", calls=(call("f", '{"a":1}', id="c"),), finish="tool_calls"),
    row("a call that only the whole message has is kept", SEEN,
        calls(piece("{}", "f", id="c")), message("", tool_calls=[piece("{}", "f", id="c"),
                                                              piece("[]", "g", id="d")]),
        calls=(call("f", "{}", id="c"), call("g", "[]", id="d", index=1))),
    row("messages in place of deltas are pieces", SEEN,
        *({"choices": [{"message": {"content": text}}]} for text in ("ha", "ha")), ends(),
        texts=("ha", "ha")),
    row("a whole message alone is the answer", SEEN, message("Hello"), texts=("Hello",)),
]  # fmt: skip

ARGUMENTS = [
    row("arguments so far in each piece", "hermes-agent#35718",
        calls(piece('{"q":"w', "f", index=0, id="a")), calls(piece('{"q":"weather i', index=0)),
        calls(piece('{"q":"weather in Bonn"}', index=0)), ends("tool_calls"), DONE,
        calls=(call("f", '{"q":"weather in Bonn"}', id="a"),), finish="tool_calls"),
    row("whole arguments once more in the last piece", "opencode#17339",
        calls(piece('{"a":', "f", index=0, id="a")), calls(piece("1}", index=0)),
        calls(piece('{"a":1}', index=0)), ends(), calls=(call("f", '{"a":1}', id="a"),)),
    row("{} first, and then the arguments", SEEN,
        calls(piece("{}", "f", index=0, id="a")), calls(piece('{"a"', index=0)),
        calls(piece(":1}", index=0)), ends(), calls=(call("f", '{"a":1}', id="a"),)),
    row("an object within the same object is not arguments so far", SEEN,
        calls(piece('{"a":', "f", index=0, id="a")), calls(piece('{"a":1}', index=0)),
        calls(piece("}", index=0)), ends(), calls=(call("f", '{"a":{"a":1}}', id="a"),)),
    row("junk after the arguments is dropped", SEEN,
        calls(piece('{"a":1}', "f", index=0, id="a")), calls(piece("}", index=0)),
        calls(piece("", index=0)), ends(), calls=(call("f", '{"a":1}', id="a"),)),
]  # fmt: skip

CALLS = [
    row("parallel calls under one index, their ids empty", "hermes-agent#62940",
        calls(piece('{"d":11}', "add", index=0, id="")),
        calls(piece('{"d":12}', "add", index=0, id="")), ends(), DONE,
        calls=(call("add", '{"d":11}'), call("add", '{"d":12}', index=1))),
    row("the name under index 0, the arguments under 1, one id", "LocalAI#9722",
        calls(piece("", "exec", index=0, id="x")), calls(piece('{"a":1}', index=1, id="x")),
        ends("tool_calls"), calls=(call("exec", '{"a":1}', id="x"),), finish="tool_calls"),
    row("two names under one index, without ids", SEEN,
        calls(piece("", "now", index=0)), calls(piece('{"a":1}', "add", index=0)), ends(),
        calls=(call("now", ""), call("add", '{"a":1}', index=1))),
    row("one id for all calls", SEEN,
        calls(piece("{}", "f", index=0, id="0")), calls(piece('{"a":1}', "g", index=1, id="0")),
        ends(), calls=(call("f", "{}", id="0"), call("g", '{"a":1}', index=1))),
    row("the same call twice in one list is two calls", SEEN,
        calls(piece("{}", "roll"), piece("{}", "roll")), ends(),
        calls=(call("roll", "{}"), call("roll", "{}", index=1))),
    row("the same call once more, without an id, is a repeat", SEEN,
        *[calls(piece('{"a": 1}', "f", index=0))] * 2, calls(piece('{"a":1}', "f", index=0)),
        ends(), calls=(call("f", '{"a": 1}'),)),
    row("a name that is sent so far", SEEN,
        calls(piece("", "get_", index=0, id="a")), calls(piece("{}", "get_time", index=0, id="a")),
        ends(), calls=(call("get_time", "{}", id="a"),)),
    row("an id and the name repeated with each piece, another id each time", SEEN,
        calls(piece('{"a"', "f", index=0, id="a")), calls(piece(":1}", "f", index=0, id="b")),
        ends(), calls=(call("f", '{"a":1}', id="a"),)),
    row("an index that is a text", SEEN,
        calls(piece('{"a":', "f", index="0", id="a")), calls(piece("1}", index="0")), ends(),
        calls=(call("f", '{"a":1}', id="a"),)),
]  # fmt: skip

# ------------------------------------------------------------------ errors

ERRORS = [
    failed("MiniMax's base_resp without a choice", "cherry-studio#11287",
           {"id": "x", "choices": None, "usage": NOTHING,
            "base_resp": {"status_code": 1002, "status_msg": "rate limit exceeded(RPM)"}}, DONE,
           says="rate limit exceeded(RPM)", code="1002"),
    failed("base_resp after text", "MiniMax API reference",
           said("Hi"), said("", base_resp={}) | {"base_resp": {"status_code": 1027,
                                                              "status_msg": "sensitive"}},
           says="sensitive", code="1027", texts=("Hi",), chunks=1),
    failed("DashScope's code and message", "DashScope API reference",
           {"code": "InvalidParameter", "message": "Range of input", "request_id": "r"},
           says="Range of input", code="InvalidParameter"),
    failed("Cloudflare's list of errors", "Cloudflare Workers AI",
           {"result": None, "success": False, "messages": [],
            "errors": [{"code": 7003, "message": "Could not route"}]},
           says="Could not route", code="7003"),
    failed("Apigee's fault", "Apigee documentation, fault handling",
           {"fault": {"faultstring": "Rate limit quota violation",
                      "detail": {"errorcode": "policies.ratelimit.QuotaViolation"}}},
           says="Rate limit quota violation", code="policies.ratelimit.QuotaViolation"),
    failed("AWS's Message", "Amazon Bedrock behind a gateway",
           {"Message": "User is not authorized", "__type": "AccessDenied"},
           says="User is not authorized", type="AccessDenied"),
    failed("OpenAI Responses: a response that failed", "OpenAI API reference, Responses",
           said("Hi"), {"type": "response.failed",
                        "response": {"error": {"code": "server_error", "message": "sorry"}}},
           says="sorry", code="server_error", texts=("Hi",), chunks=1),
    failed("OpenAI Responses: events of another API", "OpenAI API reference, Responses",
           {"type": "response.created", "response": {"id": "r", "error": None}},
           {"type": "response.output_text.delta", "delta": "Hi"}, DONE,
           says="response.created", chunks=2),
    failed("an event that nobody knows, and [DONE]", SEEN, {"status": "queued"}, DONE,
           says='{"status": "queued"}', chunks=1),
    failed("events without a choice, and the body's end", SEEN,
           {"choices": [], "usage": NOTHING}, says='"choices": []', chunks=1, usage=NOTHING),
    failed("event: error with words of its own", SEEN,
           'event: error\ndata: {"code":400,"details":"boom"}', says="boom", code="400"),
    failed("an error without words in any field", SEEN, {"error": {"trace": [1, "x"]}},
           says='{"trace": [1, "x"]}'),
    failed("a gateway's reason behind its message", "OpenRouter, metadata.raw",
           {"error": {"code": 502, "message": "Provider returned error",
                      "metadata": {"raw": "the model is on fire", "provider_name": "P"}}},
           says="Provider returned error (the model is on fire)", code="502"),
    failed("details behind a message", SEEN,
           {"error": {"message": "bad", "details": [{"reason": "API_KEY_INVALID"}]}},
           says="bad (API_KEY_INVALID)"),
    failed("an error that is true, the words beside it", SEEN,
           {"error": True, "message": "no such model"}, says=": no such model"),
    failed("Spring's error, status and message", SEEN,
           {"timestamp": 1, "status": 503, "error": "Unavailable", "message": "try later"},
           says="Unavailable: try later", code="503"),
    failed("an error in a list of one", "Gemini", 'data: [{"error":{"message":"m","code":3}}]',
           says=": m", code="3"),
    row("an empty error beside a choice is none", SEEN,
        *(said(text) | {"error": error} for text, error in EMPTY_ERRORS),
        ends(), texts=tuple("abcdefg")),
    row("base_resp that says success", "MiniMax API reference",
        said("Hi", "stop") | {"base_resp": {"status_code": 0, "status_msg": ""}}, texts=("Hi",)),
]  # fmt: skip

FAILURES = [
    *(
        failed(f"the finish reason {reason}", source, said("Hello wor"), ends(reason), DONE,
               texts=("Hello wor",), finish=reason, chunks=2, code=reason, says=reason)
        for reason, source in (
            ("network_error", "Zhipu GLM; screenpipe#3616"),
            ("abort", "vLLM, SGLang"),
            ("cancelled", SEEN),
            ("malformed_function_call", "Gemini"),
            ("function_call_filter: MALFORMED_FUNCTION_CALL", "Gemini"),
            ("UNEXPECTED_TOOL_CALL", "Gemini"),
            ("ERROR_TOXIC", "Cohere"),
            ("modelUnloaded", "LM Studio"),
            ("timeout", SEEN),
            ("MISSING_THOUGHT_SIGNATURE", "Gemini"),
            ("rate_limit", SEEN),
            ("client_disconnect", SEEN),
        )
    ),
    *(
        row(f"the finish reason {reason} ends a whole answer", SEEN,
            said("Hi"), ends(reason), texts=("Hi",), finish=reason)
        for reason in ("length", "content_filter", "tool_calls", "end_turn", "eos", "SAFETY",
                       "MAX_TOKENS", "sensitive", "something_new", "model_length")
    ),
]  # fmt: skip

# ------------------------------------------------------------------ odd types, other places


def unreadable(claim: str, event: Event, says: str) -> Row:
    return failed(claim, SEEN, said("Hi"), event, ends(), error=MalformedDataError, says=says,
                  texts=("Hi",), chunks=1)  # fmt: skip


TYPES = [
    row("content that is a number", SEEN, said(4), said(0), said(2.5), ends(),
        texts=("4", "0", "2.5")),
    row("content that is an object with a text", SEEN, said({"text": "a"}),
        said({"type": "text", "text": {"value": "b"}}), said({"parts": [{"text": "c"}]}), ends(),
        texts=("a", "b", "c")),
    row("a delta that is a text, a number or a list of parts", SEEN,
        chunk("a"), chunk(5), chunk([{"text": "b"}]), ends(), texts=("a", "5", "b")),
    row("choices that are an object", SEEN,
        {"choices": {"delta": {"content": "a"}}}, {"choices": {"0": {"delta": {"content": "b"}}}},
        {"choices": {"index": 0, "delta": {}, "finish_reason": "stop"}}, texts=("a", "b")),
    row("parts that are not text stay in the message", SEEN,
        said([{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {"url": "u"}}]),
        said([{"type": "image_url", "image_url": {"url": "v"}}]), ends(), texts=("a",)),
    unreadable("content that is true", said(True), "content is not a text"),
    unreadable("content that is an object without a text", said({"x": 1}), '{"x": 1}'),
    unreadable("content that is a list of what nobody knows", said([{"x": 1}, [2]]), "content"),
    unreadable("a delta that is true", chunk(True), "content is not a text"),
    unreadable("choices that are a number", {"choices": 7}, "choices"),
    unreadable("choices that are texts", {"choices": ["a", "b"]}, "choices"),
    unreadable("tool calls that are a text", chunk({"tool_calls": "f()"}), "f()"),
]  # fmt: skip

PLACES = [
    row("usage in the choice", "pi#2017 (Kimi)", said("Hi"), ends(usage=usage(9, 3)), DONE,
        texts=("Hi",), usage=usage(9, 3)),
    row("zeros at the end replace no counts", SEEN,
        said("Hi") | {"usage": usage(9, 3)}, ends() | {"usage": NOTHING},
        texts=("Hi",), usage=usage(9, 3)),
    row("the prompt's count comes first, the answer's last", "Anthropic behind gateways",
        said("Hi") | {"usage": {"prompt_tokens": 9, "completion_tokens": 0}},
        ends() | {"usage": {"prompt_tokens": 0, "completion_tokens": 3}},
        texts=("Hi",), usage={"prompt_tokens": 9, "completion_tokens": 3}),
    *(
        row(f"reasoning in {name}", source, chunk({name: "let me "}), chunk({name: "see"}),
            said("Hi"), ends(), DONE, texts=("Hi",), reasoning="let me see")
        for name, source in (("reasoning_text", "litellm#35021 (GitHub Copilot)"),
                             ("thinking", "Ollama"), ("reasoning_content", "DeepSeek"))
    ),
    row("reasoning in thinking blocks", "LiteLLM, thinking_blocks",
        *(chunk({"thinking_blocks": [{"type": "thinking", "thinking": text}]})
          for text in ("let me ", "see")),
        chunk({"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "s"}]}),
        said("Hi", "stop"), texts=("Hi",), reasoning="let me see"),
    row("audio and no text", "openai-node#1991", *(chunk({"audio": audio}) for audio in (
        {"id": "a", "transcript": "Hel"}, {"data": "AAAA"}, {"transcript": "lo"},
        {"expires_at": 1})), ends(), DONE),
    row("audio without a finish, then [DONE]", "openai-node#1991",
        chunk({"audio": {"id": "a", "data": "AAAA"}}), chunk({"audio": {"expires_at": 1}}), DONE,
        finish=None, end=End.DONE),
]  # fmt: skip

ROWS = [
    *(*FINISHES, *INDEXES, *REPEATS, *ARGUMENTS, *CALLS, *ERRORS, *FAILURES, *TYPES, *PLACES),
]
