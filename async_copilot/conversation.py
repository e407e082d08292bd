"""Turns in, replies out, with memory between them; history changes only on success."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from functools import partial
from itertools import dropwhile
from typing import Any, NoReturn, Protocol, Self

from .errors import AmnesiaWarning, CopilotError, Hint, InvalidRequestError, TurnInProgressError
from .options import (
    UNSET,
    Defaults,
    Memory,
    Unset,
    check_call,
    check_messages,
    check_options,
)
from .reply import Reply
from .saved import SETTINGS, Saved, read_saved
from .turn import Turn, client_turn, place_of, server_turn
from .wire.copies import copied
from .wire.handle import kept
from .wire.history import Echo, Message, exchanges, in_order, newest, remembered_message
from .wire.request import Messages, request_messages
from .wire.server_memory import ServerMemory
from .wire.transcript import TRANSCRIPT_CHARS

__all__ = ["Conversation", "Streams"]


_AMNESIA = (
    "the server answered in another conversation than the one it was asked to go on with, and "
    "may not know what was said before; the next turn tells it"
)
_NOT_TOLD = "max_transcript has no room for what was said before, so the answer does not know it"


class Streams(Protocol):
    """What a conversation needs of a client; CopilotClient has it."""

    @property
    def defaults(self) -> Defaults: ...

    def stream(self, messages: Messages, **options: Any) -> AbstractAsyncContextManager[Reply]: ...


class Conversation:
    """One conversation: one turn at a time, and each knows the ones before.

    memory="server" (g4f): a request holds one user message and nothing else, since g4f 8.x
        shares its cache of conversations between clients whose earlier messages are
        alike; a single user message has no key in it. The server gets ``conversation_id``
        and, from the second turn on, the ``conversation`` object that it gave: releases up
        to 0.4.9.0 remember by the id, later ones by the object. Where the server may not
        know the history, the message begins with the system prompt and the transcript
        (``User: …``, ``Assistant: …``), and no object is sent: after a provider that gave
        none, another provider or model, an answer from another conversation, a first turn
        that was left, an object that the server refused, undo() and trim().
    memory="client" (any other server): sends the system prompt and the whole history,
        and none of g4f's own fields.

    A turn that failed or was left is not in the history; after the first turn it may be in
    the server's conversation all the same.

    system: a system prompt. A new one tells a server the history again.
    model, provider: the client's by default, which are "" (a g4f server chooses), and
        "Copilot" with memory="server", None (not sent) with memory="client". Both may be
        changed between turns.
    keep_partial: keep a turn that failed or was left, with the text that had come, and no
        tool calls. By default such a turn leaves nothing in the history, so it can be
        asked again.
    echo_reasoning: when the history holds an answer's reasoning, under the server's own
        names: "tools", with tool calls (DeepSeek, Gemini and others answer 400 without
        it), "always", or "never". Plain answers go back without, as some servers demand.
    max_transcript: characters of system prompt and transcript; the oldest turns go first.
    options: for each turn, as CopilotClient.stream() takes them.

    id: the uuid4 sent as ``conversation_id``.
    handle: the server's conversation object, opaque; a secret of the conversation.

    ``copy.copy()`` and ``copy.deepcopy()`` give a conversation with the same history on the
    same client that goes its own way: with an id of its own, and no handle, so that the
    server is told the history. It cannot be pickled; save to_dict().
    """

    def __init__(
        self,
        client: Streams,
        *,
        memory: Memory | Unset = UNSET,
        system: str | None = None,
        model: str | Unset | None = UNSET,
        provider: str | Unset | None = UNSET,
        keep_partial: bool = False,
        echo_reasoning: Echo = "tools",
        max_transcript: int = TRANSCRIPT_CHARS,
        **options: Any,
    ) -> None:
        defaults = getattr(client, "defaults", None)
        if not isinstance(defaults, Defaults):
            raise InvalidRequestError(
                f"client is {client!r:.80}", hint=Hint("give a CopilotClient")
            )
        self.memory = defaults.memory if memory is UNSET else memory
        self.system = system
        self.model = defaults.model if model is UNSET else model
        self.provider = defaults.provider_with(self.memory) if provider is UNSET else provider
        self.keep_partial = keep_partial
        self.echo_reasoning: Echo = echo_reasoning
        self.max_transcript = max_transcript
        check_call(options)
        self._check(options)
        self.id = str(uuid.uuid4())
        self._client = client
        self._options = options
        self._messages: list[Message] = []
        self._server = ServerMemory()
        self._busy = False

    def _check(self, options: Mapping[str, Any]) -> None:
        """Raise InvalidRequestError for settings, which may be changed, that cannot work."""
        check_options(**{name: getattr(self, name) for name in SETTINGS})
        own = options.keys() & {"conversation", "conversation_id"}
        if own and self.memory == "server":
            raise InvalidRequestError(
                f"{min(own)} is what a conversation sends by itself",
                hint=Hint("set its handle, or go on with a saved one by Conversation.from_dict()"),
            )

    def _place(self, options: Mapping[str, Any]) -> str:
        """Return who is asked with these options."""
        own = {"provider": self.provider, "model": self.model}
        wanted = {**own, **options, **(options.get("extra") or {})}
        return place_of(wanted["provider"], wanted["model"])

    @property
    def history(self) -> list[Message]:
        """A copy, all the way down: the messages so far, in the wire's own form.

        The turns that succeeded, theirs and ours in turn, without the system prompt. It is
        what a server takes back: images and sounds that an answer brought as data, answers
        without content and unfinished tool calls are not in it; ``reply.left_out`` says so.
        """
        return [copied(message) for message in self._messages]

    @property
    def handle(self) -> dict[str, Any] | None:
        return kept(self._server.handle)

    @handle.setter
    def handle(self, handle: dict[str, Any] | None) -> None:
        if not isinstance(handle, dict | None):
            raise InvalidRequestError(
                f"handle is a {type(handle).__name__}",
                hint=Hint("give a conversation object of the server's, or None"),
            )
        self._server = ServerMemory(
            kept(handle) or None,
            place=self._place(self._options),
            system=self.system,
            known=len(self._messages),
            begun=bool(handle),
        )

    # ------------------------------------------------------------------ turns

    def stream(self, message: Messages, **options: Any) -> AbstractAsyncContextManager[Reply]:
        """Take one turn; ``async with`` gives its Reply.

        message: a str or a user message; with memory="client" also a list of messages,
            such as the results of tool calls.
        options: for this turn, over the conversation's own.

        The turn enters the history when its reply ends COMPLETE or DONE, and then
        ``reply.left_out`` says what of the turn or the history does not go to the server.
        ``reply.remembered`` is True or False from the second turn on: whether the server
        knew the history; None if the server's release does not tell.

        Raises TurnInProgressError while another turn is running, which goes on
        undisturbed, and what CopilotClient.stream() raises. Warns with AmnesiaWarning
        when ``reply.remembered`` is False; the next turn tells the server the history.
        """
        return self._turn(message, options, warn_at=4)  # after _turn and contextlib

    async def ask(self, message: Messages, **options: Any) -> Reply:
        """Take one turn and return its reply when it has ended; see stream()."""
        async with self._turn(message, options, warn_at=5) as reply:  # and this
            async for _ in reply:
                pass
        return reply

    @asynccontextmanager
    async def _turn(
        self, message: Messages, options: dict[str, Any], *, warn_at: int
    ) -> AsyncIterator[Reply]:
        self._only_turn()
        turn = self._prepared(request_messages(message), options)
        self._busy = True
        try:
            async with self._client.stream(
                turn.outgoing, settle=partial(self._settle, turn), **turn.fields
            ) as reply:
                yield reply
        finally:
            self._busy = False
        if reply.remembered is False:
            told = turn.asked is not None and turn.asked.told
            warnings.warn(_NOT_TOLD if told else _AMNESIA, AmnesiaWarning, stacklevel=warn_at)

    def _prepared(self, messages: list[Message], options: dict[str, Any]) -> Turn:
        """Return a turn of these messages. Raises InvalidRequestError."""
        new = [copied(message) for message in messages]
        given = {name: value for name, value in options.items() if value is not UNSET}
        fields = {"model": self.model, "provider": self.provider, **self._options, **given}
        self._check(fields)
        if self.memory == "client":
            turn = client_turn(new, self._messages, system=self.system, echo=self.echo_reasoning)
        else:
            turn = server_turn(
                new,
                self._messages,
                self._server,
                conversation_id=self.id,
                place=self._place(fields),
                system=self.system,
                limit=self.max_transcript,
            )
        return replace(turn, fields=turn.fields | fields)

    def _settle(self, turn: Turn, reply: Reply, error: CopilotError | None) -> None:
        """Add a turn that is over to the history, if it ended well or is to be kept."""
        ended_well = reply.end is not None and reply.end.ok
        to_keep = ended_well or (self.keep_partial and bool(reply.text))
        left_out = list(turn.left_out)
        said = bool(reply.text or reply.reasoning or reply.tool_calls)
        if to_keep:
            message, not_kept = remembered_message(
                reply.message,
                echo=self.echo_reasoning,
                finish_reason=reply.finish_reason,
                whole=ended_well,
            )
            left_out += not_kept
            if message is not None:
                self._messages = [*turn.history, message]
        reply.left_out = tuple(left_out)
        if turn.asked is None:
            return
        if ended_well or (to_keep and reply.conversation is not None):
            reply.remembered = self._server.learn(turn.asked, reply, known=len(self._messages))
        elif error is not None:
            self._server.fail(turn.asked, error, said=said)

    def _only_turn(self) -> None:
        if self._busy:
            raise TurnInProgressError(
                "a turn of this conversation is running",
                hint=Hint(
                    "await its end first, or make another conversation for questions asked "
                    "side by side"
                ),
            )

    # ------------------------------------------------------------------ the history

    def undo(self) -> list[Message]:
        """Take the last turn back; return its messages, or [] if there was no turn.

        A question, the tool calls, their results and the answer are one turn. A g4f
        server gets a new conversation with the transcript of what is left, since it
        cannot be told to forget. Raises TurnInProgressError while a turn is running.
        """
        self._only_turn()
        removed = (exchanges(self._messages) or [[]])[-1]
        self._keep(self._messages[: len(self._messages) - len(removed)])
        return removed

    def trim(self, keep: int | Callable[[list[Message]], Iterable[Message]]) -> None:
        """Shorten the history.

        keep: how many of the newest messages to keep at most, in whole turns; or a
            function that gets the history and returns what is to be kept of it, or what
            is to stand in its place, such as a summary.

        What stays is in order: tool calls without results, results without calls, and at the
        start an answer whose question is gone, go too. A g4f server gets a new conversation
        with its transcript. Raises TurnInProgressError while a turn is running,
        InvalidRequestError for anything else, and then the history stays as it is.
        """
        self._only_turn()
        if callable(keep):
            chosen = request_messages(keep(self.history))
            messages = list(dropwhile(self._is_half_a_turn, chosen))
            if messages:
                check_messages(messages)
        elif type(keep) is int and keep >= 0:
            messages = newest(self._messages, keep)
        else:
            raise InvalidRequestError(
                f"trim() is given {keep!r}", hint=Hint("give a number of messages, or a function")
            )
        self._keep(in_order([copied(message) for message in messages], echo=self.echo_reasoning)[0])

    def _is_half_a_turn(self, message: Message) -> bool:
        """True for an answer, or a result, of the history; no question stands before it."""
        return message.get("role") in ("assistant", "tool") and message in self._messages

    def _keep(self, messages: list[Message]) -> None:
        if messages != self._messages:
            self._messages = messages
            self._server.give_up()

    # ------------------------------------------------------------------ saved, copied

    def to_dict(self) -> dict[str, Any]:
        """Return what from_dict() needs to go on later, elsewhere; fit for JSON.

        It holds the whole conversation and the server's handle of it: keep it as safe as
        you would the text. The client, its key and per-turn options are not in it.
        """
        settings = {name: getattr(self, name) for name in SETTINGS}
        return Saved(self.id, settings, self.history, self._server).to_dict()

    @classmethod
    def from_dict(cls, client: Streams, saved: Mapping[str, Any], **options: Any) -> Self:
        """Go on with a saved conversation, on any client of the same server.

        options: in place of what was saved. With another memory, the provider is the client's
            for that one, unless it is given too.

        Reads what this release and earlier ones have saved. Raises InvalidRequestError
        where saved is not what to_dict() returned.
        """
        read = read_saved(saved)
        settings = read.settings
        if options.get("memory", settings["memory"]) != settings["memory"]:
            # The provider is g4f's alone, and "" as a model is too.
            settings |= {"provider": UNSET, "model": settings["model"] or UNSET}
        chat = cls(client, **{**settings, **options})
        chat.id = read.id
        chat._messages = read.history
        chat._server = read.server
        return chat

    def __copy__(self) -> Self:
        fork = object.__new__(type(self))
        fork.__dict__ |= self.__dict__
        fork.id = str(uuid.uuid4())
        fork._options = dict(self._options)
        fork._messages = self.history
        fork._server = ServerMemory()
        fork._busy = False
        return fork

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self.__copy__()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "a Conversation cannot be pickled, since it belongs to a client; save to_dict(), "
            "and go on with Conversation.from_dict(client, saved)"
        )

    def __repr__(self) -> str:
        return f"<Conversation {self.id} memory={self.memory} messages={len(self._messages)}>"
