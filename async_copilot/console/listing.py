"""A server's models or providers in, lines on a view out: ``--models``, ``--providers``."""

from __future__ import annotations

from ..client import CopilotClient
from .arguments import Options
from .turns import View

__all__ = ["show_lists"]


async def show_lists(client: CopilotClient, options: Options, view: View) -> None:
    """Show what the options ask for. Raises CopilotError."""
    if options.providers:
        for provider in await client.providers():
            view.item("provider", provider.id, provider.label)
    if options.models:
        for model in await client.models(provider=options.provider):
            view.item("model", model.id, model.owner)
