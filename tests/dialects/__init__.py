"""Chat completions as servers really send them: a table of bodies and what must come of them.

Each module holds the rows of a family of servers; TABLE has them all. LARGE has the few
that are too large to be read byte by byte.
"""

from __future__ import annotations

from . import (
    azure,
    field,
    g4f,
    gateways,
    gemini,
    hosted,
    litellm,
    llama,
    ollama,
    openai,
    sloppy,
    vllm,
)
from .row import ANY_ID, Row

__all__ = ["ANY_ID", "LARGE", "TABLE", "Row"]

TABLE: dict[str, list[Row]] = {
    "g4f": g4f.ROWS,
    "OpenAI": openai.ROWS,
    "Azure": azure.ROWS,
    "LiteLLM": litellm.ROWS,
    "llama.cpp": llama.ROWS,
    "vLLM": vllm.ROWS,
    "Ollama": ollama.ROWS,
    "OpenRouter": hosted.OPENROUTER,
    "DeepSeek": hosted.DEEPSEEK,
    "Groq": hosted.GROQ,
    "Mistral": hosted.MISTRAL,
    "xAI": hosted.XAI,
    "Gemini": gemini.ROWS,
    "sloppy": sloppy.ROWS,
    "reported": field.ROWS,
    "gateways": gateways.ROWS,
}

LARGE: list[Row] = g4f.LARGE
