"""A contestant's name and a job as JSON in argv; its figures, or why there are none, as JSON out.

One process for one contestant and one round: no heap, import or garbage of another one's, and
a new hash seed and memory layout each time, so that luck with those is part of the spread.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys

from .contestants import find
from .measures import MEASURES, Job

__all__ = ["main"]


def main(name: str, measure: str, job: str) -> dict[str, object]:
    try:
        work = MEASURES[measure](find(name), Job(**json.loads(job)))
        return {"figures": asyncio.run(work)}  # type: ignore[arg-type]  # they are coroutines
    except ImportError as missing:
        return {"missing": str(missing)}
    except Exception as error:  # noqa: BLE001  # whatever a peer raises is a line under the table
        return {"error": " ".join(f"{type(error).__name__}: {error}".split())[:160]}


def raise_the_limit_of_files() -> None:
    """5,000 connections are 5,000 files, and most systems begin with 1,024."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))


if __name__ == "__main__":
    raise_the_limit_of_files()
    sys.stdout.write("\n" + json.dumps(main(*sys.argv[1:4])) + "\n")
