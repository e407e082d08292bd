"""What other clients do with a chat server, each in its own words.

``python flows.py CLIENT '{"stream": URL, "whole": URL, "tools": URL, "error": URL}'``: a client of
``FLOWS``, and the server for each flow; the key is in OPENAI_API_KEY. Out: one line of JSON, what
came of each: its text, or "raised CLASS". Run by the Python of the clients' environment, never by
ours.
"""

# ruff: noqa: PLC0415  # a client is imported where it is the one that runs

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

ASKED: Any = [{"role": "user", "content": "How is the weather in Köln and Rom?"}]
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}


def get_weather(city: str) -> str:
    """The weather of a city."""
    return f"sunny in {city}"


# ---- openai


def openai_sync(flow: str) -> str:
    from openai import OpenAI

    client = OpenAI(max_retries=0)
    if flow == "stream":
        options: Any = {"stream": True, "stream_options": {"include_usage": True}}
        chunks = list(client.chat.completions.create(model="m", messages=ASKED, **options))
        assert chunks[-1].usage.total_tokens > 0
        return "".join(one.choices[0].delta.content or "" for one in chunks if one.choices)
    if flow != "tools":
        said = client.chat.completions.create(model="m", messages=ASKED)
        assert said.usage.total_tokens > 0
        return said.choices[0].message.content
    messages = list(ASKED)
    while True:
        options = {"model": "m", "messages": messages, "tools": [TOOL]}
        message = client.chat.completions.create(**options).choices[0].message
        if not message.tool_calls:
            return message.content
        messages.append(message.to_dict())
        for call in message.tool_calls:
            result = get_weather(**json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})


def openai_async(flow: str) -> str:
    return asyncio.run(_openai_async(flow))


async def _openai_async(flow: str) -> str:
    from openai import AsyncOpenAI

    async with AsyncOpenAI(max_retries=0) as client:
        if flow in ("whole", "error"):
            said = await client.chat.completions.create(model="m", messages=ASKED)
            return said.choices[0].message.content
        messages = list(ASKED)
        while True:
            options: Any = {"model": "m", "messages": messages, "tools": [TOOL]}
            async with client.chat.completions.stream(**options) as stream:
                async for _ in stream:
                    pass
                message = (await stream.get_final_completion()).choices[0].message
            if not message.tool_calls:
                return message.content
            calls = [_plain(call) for call in message.tool_calls]
            messages.append({"role": "assistant", "tool_calls": calls})
            for call in message.tool_calls:
                result = get_weather(**json.loads(call.function.arguments))
                messages.append({"role": "tool", "tool_call_id": call.id, "content": result})


def _plain(call: Any) -> Any:
    function = {"name": call.function.name, "arguments": call.function.arguments}
    return {"id": call.id, "type": "function", "function": function}


# ---- frameworks


def langchain(flow: str) -> str:
    from langchain_core.messages import HumanMessage, ToolMessage
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(model="m", max_retries=0, use_responses_api=False)
    if flow == "stream":
        return "".join(chunk.content for chunk in model.stream("Hi"))
    if flow != "tools":
        said = model.invoke("Hi")
        assert said.usage_metadata["total_tokens"] > 0
        return said.content
    bound = model.bind_tools([tool(get_weather)])
    messages: Any = [HumanMessage(ASKED[0]["content"])]
    while True:
        answer = bound.invoke(messages)
        if not answer.tool_calls:
            return answer.content
        messages.append(answer)
        for call in answer.tool_calls:
            messages.append(ToolMessage(get_weather(**call["args"]), tool_call_id=call["id"]))


def litellm(flow: str) -> str:
    import litellm as library

    library.suppress_debug_info = True
    options: Any = {"model": "openai/m", "messages": ASKED, "num_retries": 0, "max_retries": 0}
    if flow == "stream":
        chunks = list(library.completion(stream=True, **options))
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    if flow != "tools":
        return library.completion(**options).choices[0].message.content
    messages = list(ASKED)
    while True:
        options |= {"messages": messages, "tools": [TOOL]}
        message = library.completion(**options).choices[0].message
        if not message.tool_calls:
            return message.content
        messages.append(message.model_dump(exclude_none=True))
        for call in message.tool_calls:
            result = get_weather(**json.loads(call.function.arguments))
            messages.append({"role": "tool", "tool_call_id": call.id, "content": result})


def pydantic_ai(flow: str) -> str:
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel

    agent = Agent(OpenAIChatModel("m"), tools=[get_weather] if flow == "tools" else [], retries=0)
    if flow != "stream":
        return agent.run_sync(ASKED[0]["content"]).output

    async def streamed() -> str:
        async with agent.run_stream("Hi") as result:
            return "".join([text async for text in result.stream_text(delta=True)])

    return asyncio.run(streamed())


def instructor(flow: str) -> str:
    import instructor as library
    from openai import OpenAI
    from pydantic import BaseModel

    class Weather(BaseModel):
        text: str

    client = library.from_openai(OpenAI(max_retries=0))
    options: Any = {"model": "m", "messages": ASKED, "response_model": Weather, "max_retries": 0}
    if flow == "stream":
        *_, last = client.chat.completions.create_partial(**options)
        return last.text
    return client.chat.completions.create(**options).text


def openai_agents(flow: str) -> str:
    import agents
    from openai import AsyncOpenAI

    agents.set_tracing_disabled(True)
    client = AsyncOpenAI(max_retries=0)
    model = agents.OpenAIChatCompletionsModel(model="m", openai_client=client)
    tools: Any = [agents.function_tool(get_weather)] if flow == "tools" else []
    agent = agents.Agent(name="a", instructions="Help.", model=model, tools=tools)
    if flow != "stream":
        return agents.Runner.run_sync(agent, ASKED[0]["content"]).final_output

    async def streamed() -> str:
        result = agents.Runner.run_streamed(agent, "Hi")
        async for _ in result.stream_events():
            pass
        return result.final_output

    return asyncio.run(streamed())


def llm(flow: str) -> str:
    import llm as library

    model = library.get_model("gpt-4o-mini")
    model.key = os.environ["OPENAI_API_KEY"]
    if flow == "tools":
        return model.chain(ASKED[0]["content"], tools=[get_weather]).text()
    answer = model.prompt("Hi", stream=flow == "stream")
    text = "".join(answer)
    assert answer.usage().input
    return text


def httpx_sse(flow: str) -> str:
    import httpx
    from httpx_sse import connect_sse

    body = {"model": "m", "messages": ASKED, "stream": flow == "stream"}
    key = {"Authorization": f"Bearer {os.environ['OPENAI_API_KEY']}"}
    url = os.environ["OPENAI_BASE_URL"] + "/chat/completions"
    with httpx.Client(headers=key) as client:
        if flow != "stream":
            answer = client.post(url, json=body)
            answer.raise_for_status()
            return answer.json()["choices"][0]["message"]["content"]
        text = ""
        with connect_sse(client, "POST", url, json=body) as source:
            for event in source.iter_sse():
                if event.data != "[DONE]":
                    choice = event.json()["choices"][0]
                    text += choice["delta"].get("content") or ""
        return text


FLOWS = {
    flow.__name__: flow
    for flow in (
        *(openai_sync, openai_async, langchain, litellm, pydantic_ai, instructor),
        *(openai_agents, llm, httpx_sse),
    )
}


def outcome(client: str, flow: str, url: str) -> str:
    """The text of the flow, or the class of what it raised."""
    os.environ["OPENAI_BASE_URL"] = os.environ["OPENAI_API_BASE"] = url
    try:
        return FLOWS[client](flow)
    except Exception as error:
        if flow != "error":
            raise
        return f"raised {type(error).__name__}"


if __name__ == "__main__":
    wanted = json.loads(sys.argv[2])
    found = {flow: outcome(sys.argv[1], flow, url) for flow, url in wanted.items()}
    sys.stdout.write(json.dumps(found) + "\n")
