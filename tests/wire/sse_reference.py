"""The event stream as the standard tells it: slow, whole, and independent of async_copilot.

Enters: a complete body, as bytes. Leaves: its events, as plain tuples. No I/O.

A transcript of WHATWG HTML, "Parsing an event stream" and "Interpreting an event
stream" (https://html.spec.whatwg.org/multipage/server-sent-events.html): the body is
decoded whole, then split, then read line by line. Nothing here is incremental,
bounded or fast, so that it can be checked by holding it against the text.
"""

from __future__ import annotations

import re

__all__ = ["Event", "reference_events"]

# type, data, last event ID at dispatch, the block's own retry field
Event = tuple[str, str, str, int | None]

BOM = b"\xef\xbb\xbf"
ASCII_DIGITS = "0123456789"


def reference_events(body: bytes, *, error_field: bool = False) -> list[Event]:
    """The events of `body`; `error_field` reads `error: X` as `event: error`, `data: X`.

    The standard keeps the reconnection time on the stream; here it goes with the event
    in whose block the field stood, since that is what ServerSentEvent.retry promises.
    """
    events: list[Event] = []
    data = event_type = last_event_id = ""
    retry: int | None = None
    for line in lines(body):
        if line == "":
            # Dispatch, steps 2 to 8. The last event ID buffer does not get reset.
            if data != "":
                events.append(
                    (event_type or "message", data.removesuffix("\n"), last_event_id, retry)
                )
            data = event_type = ""
            retry = None
        elif line.startswith(":"):
            continue
        else:
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            if field == "event":
                event_type = value
            elif field == "data":
                data += value + "\n"
            elif field == "id" and "\0" not in value:
                last_event_id = value
            elif field == "retry" and value and all(digit in ASCII_DIGITS for digit in value):
                retry = int(value)
            elif field == "error" and error_field:
                event_type = "error"
                data += value + "\n"
    return events


def lines(body: bytes) -> list[str]:
    """UTF-8 decode (one leading BOM goes, errors are replaced), then cut at CRLF, LF and CR.

    What follows the last line end is not a line yet: "any pending data must be discarded".
    """
    text = body.removeprefix(BOM).decode("utf-8", "replace")
    *finished, _pending = re.split("\r\n|\n|\r", text)
    return finished
