"""Starts the real llama-cpp-python server of the environment it runs in, on a tiny model.

In: ``--port``, ``--folder``, and a server key from the environment
(``INTEROP_SERVER_KEY``). Out: its own server on 127.0.0.1 until a signal ends it, with a
model of random weights that is written here and says lower-case letters without end.
I/O: the model's file, that server; every other address is refused in-process.
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .behaviour import Remote
from .bounds import end_with_parent, stay_offline

WIDTH, HEADS, HIDDEN, CONTEXT = 32, 2, 64, 1024
SPECIAL = ["<unk>", "<s>", "</s>"]
# llama.cpp's kinds of tokens.
NORMAL_UNKNOWN, CONTROL, BYTE = 2, 3, 6


def write_model(path: Path) -> None:
    """A llama of one layer over single bytes; only letters and the space can win."""
    numpy, gguf = import_module("numpy"), import_module("gguf")
    random = numpy.random.default_rng(7)
    tokens = [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256))]

    def weights(*shape: int) -> Any:
        return random.normal(size=shape).astype(numpy.float32)

    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types([NORMAL_UNKNOWN, CONTROL, CONTROL, *[BYTE] * 256])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    # A logit of zero never wins against the best of 27 random ones.
    speech = numpy.zeros((len(tokens), WIDTH), numpy.float32)
    for letter in b"abcdefghijklmnopqrstuvwxyz ":
        speech[len(SPECIAL) + letter] = weights(WIDTH)
    writer.add_tensor("token_embd.weight", weights(len(tokens), WIDTH))
    writer.add_tensor("output.weight", speech)
    for norm in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        writer.add_tensor(f"{norm}.weight", numpy.ones(WIDTH, numpy.float32))
    for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
        writer.add_tensor(f"blk.0.{name}.weight", weights(WIDTH, WIDTH))
    for name, shape in {
        "ffn_gate": (HIDDEN, WIDTH),
        "ffn_up": (HIDDEN, WIDTH),
        "ffn_down": (WIDTH, HIDDEN),
    }.items():
        writer.add_tensor(f"blk.0.{name}.weight", weights(*shape))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main() -> None:
    """Write the model, then serve until a signal comes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    arguments = parser.parse_args()
    remote = Remote(arguments.folder)
    end_with_parent()
    stay_offline(lambda host: remote.note("outward", host=host))
    model = arguments.folder / "tiny.gguf"
    write_model(model)
    remote.note("serving", version=version("llama-cpp-python"), uvicorn=version("uvicorn"))
    sys.argv = ["llama_cpp.server", "--model", str(model), "--chat_format", "chatml"]
    sys.argv += ["--host", "127.0.0.1", "--port", arguments.port, "--n_ctx", str(CONTEXT)]
    if key := os.environ.get("INTEROP_SERVER_KEY"):
        sys.argv += ["--api_key", key]
    import_module("llama_cpp.server.__main__").main()


if __name__ == "__main__":
    main()
