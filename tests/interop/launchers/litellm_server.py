"""Starts the real LiteLLM proxy of the environment it runs in, with a real g4f behind it.

In: ``--port``, ``--folder``, and the URL of the g4f API server from the environment
(``INTEROP_BEHIND``). Out: LiteLLM's own command on 127.0.0.1, one model ``copilot``,
until a signal ends it. I/O: that server; every other address is refused in-process.
"""

from __future__ import annotations

import argparse
import json
import os
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .behaviour import Remote
from .bounds import end_with_parent, stay_offline

# Its list of prices is else fetched while it is imported.
OWN_ENVIRON = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TELEMETRY": "False"}


def config(behind: str) -> dict[str, Any]:
    """One model; no retries and no cool-down, so that a test sees each failure once."""
    parameters = {
        "model": "openai/copilot",
        "api_base": behind.replace("/v1", "/api/Copilot"),
        "api_key": "none",
    }
    return {
        "model_list": [{"model_name": "copilot", "litellm_params": parameters}],
        "router_settings": {"num_retries": 0, "disable_cooldowns": True},
        # It takes nothing but loopback, and lives as long as a test.
        "general_settings": {"dangerously_permit_weak_or_unset_master_key": True},
        "litellm_settings": {"num_retries": 0, "telemetry": False},
    }


def main() -> None:
    """Write the configuration, then serve until a signal comes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    arguments = parser.parse_args()
    remote = Remote(arguments.folder)
    end_with_parent()
    stay_offline(lambda host: remote.note("outward", host=host))
    os.environ.update(OWN_ENVIRON)
    # JSON is YAML.
    file = arguments.folder / "config.yaml"
    file.write_text(json.dumps(config(os.environ["INTEROP_BEHIND"])), "utf-8")
    remote.note("serving", version=version("litellm"), uvicorn=version("uvicorn"))
    import_module("litellm.proxy.proxy_cli").run_server(
        ["--config", str(file), "--host", "127.0.0.1", "--port", arguments.port]
    )


if __name__ == "__main__":
    main()
