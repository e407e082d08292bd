"""Each vendor gets its own reasoning back in a tool turn, under its own name and unchanged.

The servers here refuse, as the real ones do, what is missing, changed or not theirs:

========== ====================================== =====================================
vendor     demands in a message with tool calls   refuses
========== ====================================== =====================================
DeepSeek   ``reasoning_content``                  it in a plain message (R1)
Moonshot   ``reasoning_content``                  names it does not know
OpenRouter ``reasoning_details``, as they came    changed or reordered details
GitHub     ``reasoning_opaque``                   names it does not know
Gemini     ``extra_content`` of the call          a call without its signature
LiteLLM    ``thinking_blocks`` with signatures    changed blocks
Mistral    thinking parts, in the content         names it does not know
Groq       nothing                                ``reasoning_content`` and other names
========== ====================================== =====================================
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from wire_server import WireServer, http

from async_copilot import BadRequestError, Conversation, CopilotClient

Message = dict[str, Any]

STANDARD = {"role", "content", "tool_calls", "tool_call_id", "name", "refusal"}
CALL: Message = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
RESULT = {"role": "tool", "tool_call_id": "c", "content": "12"}


@dataclass
class Vendor:
    """One vendor's wire: the deltas of an answer's reasoning, and what it demands back.

    deltas: before the answer.  call: what a call has besides.
    back: the fields of a message with tool calls, as they have to come back.
    plain: a plain message may have them too.
    """

    name: str
    deltas: list[Message]
    back: Message = field(default_factory=dict)
    call: Message = field(default_factory=dict)
    plain: bool = True
    content: Any = None

    def answer(self, request: Message) -> bytes:
        for message in request["messages"]:
            if message["role"] == "assistant":
                problem = self._problem(message)
                if problem:
                    body = json.dumps({"error": {"message": problem, "type": "invalid"}}).encode()
                    return http(body, status="400 No", media_type="application/json")
        last = request["messages"][-1]["role"]
        said = {"content": "12 degrees"} if last == "tool" else {"tool_calls": [self._called(0)]}
        return stream([*self.deltas, said])

    def _called(self, index: int) -> Message:
        return {"index": index, **CALL, **self.call}

    def _problem(self, message: Message) -> str | None:
        calls, more = message.get("tool_calls"), message.keys() - STANDARD
        if unknown := more - self.back.keys():
            return f"property {min(unknown)!r} is unsupported"
        if not calls:
            return f"{min(more)} is not allowed here" if more and not self.plain else None
        for name, value in self.back.items():
            if message.get(name) != value:
                return f"missing or changed: {name}"
        if self.content is not None and message["content"] != self.content:
            return "missing or changed: content"
        if any(call != {**CALL, **self.call} for call in calls):
            return "missing or changed: a tool call"
        return None


def stream(deltas: list[Message]) -> bytes:
    choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
    choices[-1]["finish_reason"] = "tool_calls" if "tool_calls" in deltas[-1] else "stop"
    events = (json.dumps({"id": "x", "choices": [choice]}).encode() for choice in choices)
    return http(b"".join(b"data: %b\n\n" % event for event in events) + b"data: [DONE]\n\n")


def details(*texts: str, **more: Any) -> Message:
    return {
        "reasoning_details": [
            {"type": "reasoning.text", "index": 0, "text": t, **more} for t in texts
        ]
    }


SIGNED = {"extra_content": {"google": {"thought_signature": "c2ln"}}}
BLOCK = {"type": "thinking", "thinking": "hm so", "signature": "c2ln"}
THOUGHT = {"type": "thinking", "thinking": [{"type": "text", "text": "hm so"}]}

VENDORS = [
    Vendor(
        "DeepSeek V3.2",
        [{"reasoning_content": "hm"}, {"reasoning_content": " so"}],
        {"reasoning_content": "hm so"},
    ),
    Vendor(
        "DeepSeek R1",
        [{"reasoning_content": "hm"}, {"reasoning_content": " so"}],
        {"reasoning_content": "hm so"},
        plain=False,
    ),
    Vendor("Moonshot", [{"reasoning_content": "hm so"}], {"reasoning_content": "hm so"}),
    Vendor(
        "OpenRouter",
        [
            {"reasoning": "hm", **details("hm")},
            {"reasoning": " so", **details(" so", signature="s")},
        ],
        {"reasoning": "hm so", **details("hm so", signature="s")},
    ),
    Vendor(
        "GitHub",
        [{"reasoning_text": "hm so"}, {"reasoning_opaque": "b3BhcXVl"}],
        {"reasoning_text": "hm so", "reasoning_opaque": "b3BhcXVl"},
    ),
    Vendor("Gemini", [], call=SIGNED),
    Vendor(
        "LiteLLM",
        [{"reasoning_content": "hm so", "thinking_blocks": [BLOCK]}],
        {"reasoning_content": "hm so", "thinking_blocks": [BLOCK]},
    ),
    Vendor("Mistral", [{"content": [THOUGHT]}], content=[THOUGHT]),
    Vendor("Groq", [{"reasoning": "hm so"}], {"reasoning": "hm so"}),
]  # fmt: skip


async def turns(chat: Conversation) -> None:
    """Two questions, each with a call and its result."""
    for question in ("How warm is it?", "And now?"):
        reply = await chat.ask(question, tools=[{"type": "function"}])
        results = [{**RESULT, "tool_call_id": call.id} for call in reply.tool_calls]
        assert (await chat.ask(results)).text == "12 degrees"


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda vendor: vendor.name)
async def test_a_tool_turn_is_taken_by_its_vendor(vendor: Vendor) -> None:
    async with (
        WireServer(vendor.answer) as server,
        CopilotClient(base_url=server.url, memory="client", max_retries=0) as client,
    ):
        await turns(client.conversation())
    sent = [m for m in server.requests[-1]["messages"] if m["role"] == "assistant"]
    assert [bool(message.get("tool_calls")) for message in sent] == [True, False, True]
    assert sent[1] == {"role": "assistant", "content": "12 degrees"}


DEMANDING = [vendor for vendor in VENDORS if vendor.back or vendor.content]


@pytest.mark.parametrize("vendor", DEMANDING, ids=lambda vendor: vendor.name)
async def test_the_servers_here_refuse_a_wrong_echo(vendor: Vendor) -> None:
    async with (
        WireServer(vendor.answer) as server,
        CopilotClient(base_url=server.url, memory="client", max_retries=0) as client,
    ):
        with pytest.raises(BadRequestError, match="missing or changed"):
            await turns(client.conversation(echo_reasoning="never"))


async def test_always_is_refused_where_a_plain_message_must_not_have_it() -> None:
    for vendor in VENDORS:
        async with (
            WireServer(vendor.answer) as server,
            CopilotClient(base_url=server.url, memory="client", max_retries=0) as client,
        ):
            chat = client.conversation(echo_reasoning="always")
            if vendor.plain:
                await turns(chat)
            else:
                with pytest.raises(BadRequestError, match="not allowed here"):
                    await turns(chat)
