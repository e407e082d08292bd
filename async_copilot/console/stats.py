"""A reply in, its times and rates as a line of text out. No I/O."""

from __future__ import annotations

from ..reply import Reply

__all__ = ["stats_line", "summary_line"]

MAX_TOKENS = 10**12  # of one answer, far beyond any
SHORTEST = 0.05  # seconds; the rate of what comes in less says nothing about the server


def stats_line(reply: Reply) -> str:
    """Return the times to headers and first text, the rate, and the longest gap.

    The rate is that of tokens if the server counted them, else of chunks, over the time in
    which they came: reasoning and tool calls are made of tokens too.
    """
    timing = reply.timing
    parts = [f"headers {_seconds(timing.headers)}", f"first text {_seconds(timing.first_text)}"]
    if timing.first_chunk is not None and timing.last_chunk is not None:
        span = timing.last_chunk - timing.first_chunk
        what, count = _count(reply)
        if span >= SHORTEST:
            parts.append(f"{count / span:.1f} {what}/s ({count} in {span:.2f} s)")
        else:
            parts.append(f"{count} {what if count != 1 else what[:-1]} at once")
        parts.append(f"longest gap {_seconds(timing.longest_gap)}")
    if timing.retries:
        times = "1 retry" if timing.retries == 1 else f"{timing.retries} retries"
        parts.append(f"{times}, {sum(timing.waits):.2f} s of pauses")
    return "stats: " + ", ".join(parts)


def summary_line(reply: Reply) -> str:
    """Return how a reply ended and what it was made of."""
    end = "not begun" if reply.end is None else reply.end.value
    return (
        f"{end}, finish_reason {reply.finish_reason}, {reply.timing.chunks} chunks, "
        f"{reply.timing.bytes} bytes, {len(reply.text)} characters"
    )


def _count(reply: Reply) -> tuple[str, int]:
    usage = reply.usage or {}
    tokens = usage.get("completion_tokens")
    # A server may count as it likes: values that are not counts are ignored.
    if type(tokens) is int and 0 < tokens < MAX_TOKENS:
        return "tokens", tokens
    return "chunks", reply.timing.chunks


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.2f} s"
