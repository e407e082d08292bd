"""Options in, a client out: of a server, of the demo, or of nothing at all (``--dry-run``)."""

from __future__ import annotations

import logging
import ssl
from contextlib import AsyncExitStack
from pathlib import Path

from yarl import URL

from ..client import CopilotClient
from ..transport.clocks import Timeouts
from ..transport.urls import place
from .argument_parser import CLOCKS, UsageProblemError
from .arguments import Options
from .dry_run import catching_session
from .turns import View

__all__ = ["connect"]

log = logging.getLogger("async_copilot.console")


async def connect(options: Options, resources: AsyncExitStack, view: View) -> CopilotClient:
    """Return an open client; tell the view where the server is.

    resources: closes what was opened here. Raises UsageProblemError, UsageError.
    """
    url, session = options.url, None
    if options.demo:
        from .demo_server import demo_server  # noqa: PLC0415  # aiohttp.web, only now

        url = (await resources.enter_async_context(demo_server())).url
        view.remark("this is a built-in demo, not Copilot")
    elif options.dry_run:
        session = await resources.enter_async_context(catching_session())
    timeouts = Timeouts(**options.timeouts)
    client = CopilotClient(
        base_url=url,
        api_key=options.api_key,
        session=session,
        timeouts=timeouts,
        max_retries=options.retries,
        strict=options.strict,
        headers=dict(options.headers),
        ssl=True if options.cacert is None else _trusting(options.cacert),
    )
    view.url = place(URL(url))
    log.info("server %s; clocks: %s; retries: %d", view.url, _told(timeouts), options.retries)
    return await resources.enter_async_context(client)


def _trusting(cacert: Path) -> ssl.SSLContext:
    """Return a context that trusts a private CA beside the usual ones.

    Raises UsageProblemError.
    """
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(cafile=cacert)
    except ssl.SSLError:
        raise UsageProblemError(f"--cacert {cacert}: the file has no certificate in PEM") from None
    except OSError as error:
        raise UsageProblemError(f"--cacert {cacert}: {error.strerror}") from None
    return context


def _told(timeouts: Timeouts) -> str:
    clocks = {name: getattr(timeouts, name) for name in CLOCKS}
    return ", ".join(f"{name} {'off' if s is None else f'{s:g} s'}" for name, s in clocks.items())
