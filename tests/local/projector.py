"""A projector of random weights: with it a model sees, and understands nothing.

The layout is llama.cpp's ``clip`` with the projector of LLaVA (two linear layers), one layer of
attention, images of 64 x 64 pixels; its output has as many dimensions as the model that it is for.
"""

from __future__ import annotations

from pathlib import Path

import gguf
import numpy as np

EMBEDDING, FORWARD, HEADS, SIDE, PATCH = 64, 128, 4, 64, 16


SMOLLM2_135M = 576
"""Dimensions of the embedded model."""


def write(path: Path, width: int = SMOLLM2_135M) -> Path:
    """Write one for a model of *width* dimensions, the same bytes each time; return the path."""
    random = np.random.default_rng(0)
    writer = gguf.GGUFWriter(str(path), "clip")
    writer.add_bool("clip.has_vision_encoder", val=True)
    writer.add_string("clip.projector_type", "mlp")
    writer.add_bool("clip.use_gelu", val=True)
    writer.add_file_type(0)
    numbers = {
        "image_size": SIDE,
        "patch_size": PATCH,
        "embedding_length": EMBEDDING,
        "feed_forward_length": FORWARD,
        "block_count": 1,
        "projection_dim": width,
        "attention.head_count": HEADS,
        "projector.scale_factor": 2,
        "preproc_image_size": SIDE,
    }
    for name, number in numbers.items():
        writer.add_uint32(f"clip.vision.{name}", number)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-6)
    writer.add_array("clip.vision.image_mean", [0.5] * 3)
    writer.add_array("clip.vision.image_std", [0.5] * 3)

    def tensor(name: str, *shape: int) -> None:
        writer.add_tensor(name, (random.standard_normal(shape) * 0.02).astype(np.float32))

    def norm(name: str) -> None:
        writer.add_tensor(f"{name}.weight", np.ones(EMBEDDING, np.float32))
        writer.add_tensor(f"{name}.bias", np.zeros(EMBEDDING, np.float32))

    tensor("v.patch_embd.weight", EMBEDDING, 3, PATCH, PATCH)
    tensor("v.patch_embd.bias", EMBEDDING)
    tensor("v.position_embd.weight", (SIDE // PATCH) ** 2, EMBEDDING)
    for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
        tensor(f"v.blk.0.{name}.weight", EMBEDDING, EMBEDDING)
        tensor(f"v.blk.0.{name}.bias", EMBEDDING)
    norm("v.blk.0.ln1")
    norm("v.blk.0.ln2")
    tensor("v.blk.0.ffn_up.weight", FORWARD, EMBEDDING)
    tensor("v.blk.0.ffn_up.bias", FORWARD)
    tensor("v.blk.0.ffn_down.weight", EMBEDDING, FORWARD)
    tensor("v.blk.0.ffn_down.bias", EMBEDDING)
    norm("v.post_ln")
    tensor("mm.0.weight", width, EMBEDDING)
    tensor("mm.0.bias", width)
    tensor("mm.2.weight", width, width)
    tensor("mm.2.bias", width)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
