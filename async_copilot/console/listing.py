"""A server's models or providers in, lines on a view out: ``--models``, ``--providers``."""

from __future__ import annotations

from ..client import CopilotClient
from .arguments import Options
from .turns import View

__all__ = ["show_lists"]


async def show_lists(client: CopilotClient, options: Options, view: View) -> None:
    """Show what the options ask for. Raises CopilotError."""
    if options.providers:
        providers = await client.providers()
        for provider in providers:
            view.item("provider", provider.id, provider.label)
        if not providers:
            view.remark("the server lists no providers")
    if options.models:
        models = await client.models(provider=options.provider or None)
        for model in models:
            view.item("model", model.id, model.owner)
        if not models:
            view.remark("the server lists no models")
