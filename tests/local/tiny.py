"""A language model of random weights: 64 dimensions, two layers, a token for each byte.

It is told apart from a real one by what it says, by nothing else: the engine loads it, it has a chat
template, counts tokens and ends where it is told to. See `tests.local.projector` for what it sees with.
"""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

WIDTH, FORWARD, HEADS, LAYERS, CONTEXT = 64, 96, 4, 2, 2048
BEGIN, END = "<|im_start|>", "<|im_end|>"
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write(path: Path) -> Path:
    """Write it, the same bytes each time; return the path."""
    random = np.random.default_rng(0)
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_file_type(0)
    tokens = [*_bytes(), BEGIN, END]
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.NORMAL] * 256 + [gguf.TokenType.CONTROL] * 2)
    writer.add_token_merges(["a b"])  # of what is no token: the reader wants one
    writer.add_bos_token_id(256)
    writer.add_eos_token_id(257)
    writer.add_add_bos_token(value=False)
    writer.add_chat_template(TEMPLATE)

    def tensor(name: str, *shape: int) -> None:
        writer.add_tensor(
            f"{name}.weight", (random.standard_normal(shape) * 0.2).astype(np.float32)
        )

    def norm(name: str) -> None:
        writer.add_tensor(f"{name}.weight", np.ones(WIDTH, np.float32))

    tensor("token_embd", len(tokens), WIDTH)
    for layer in range(LAYERS):
        norm(f"blk.{layer}.attn_norm")
        norm(f"blk.{layer}.ffn_norm")
        for name in ("q", "k", "v", "output"):
            tensor(f"blk.{layer}.attn_{name}", WIDTH, WIDTH)
        tensor(f"blk.{layer}.ffn_gate", FORWARD, WIDTH)
        tensor(f"blk.{layer}.ffn_up", FORWARD, WIDTH)
        tensor(f"blk.{layer}.ffn_down", WIDTH, FORWARD)
    norm("output_norm")
    tensor("output", len(tokens), WIDTH)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _bytes() -> list[str]:
    """Return the printable character by which GPT-2's vocabulary writes each byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = (byte for byte in range(256) if byte not in plain)
    names = {byte: chr(byte) for byte in plain}
    names |= {byte: chr(256 + number) for number, byte in enumerate(others)}
    return [names[byte] for byte in range(256)]
