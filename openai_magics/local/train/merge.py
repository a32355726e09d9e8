"""A model with its adapter put into it: one GGUF file that any llama.cpp loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from openai_magics.local.jobs import store
from openai_magics.local.train.adapter import Converter

__all__ = ["merge"]


def merge(base: Path, folder: Path, target: Path, name: str) -> None:
    """Write the merged model.

    What the adapter changes is kept in 8 bits (Q8_0), or in 16 where the model had 16 or more:
    put back into 4 bits, much of what was learned would be rounded away. All else is copied.

    Parameters
    ----------
    base : Path
        The model's GGUF.
    folder : Path
        The files of PEFT.
    target : Path
        What is written.
    name : str
        What the file calls the model.

    Raises
    ------
    OSError
        There is no room.
    TrainingFailed
        The adapter does not fit the model.
    """
    import gguf

    reader = gguf.GGUFReader(base)
    converter = Converter(base)
    config = store.read(folder / "adapter_config.json")
    scale = float(config["lora_alpha"]) / float(config["r"])
    sides: dict[str, dict[str, Any]] = {}
    for tensor, side, matrix in converter.matrices(folder):
        sides.setdefault(tensor, {})[side] = matrix
    writer = gguf.GGUFWriter(target, converter.architecture)
    for field in reader.fields.values():
        if not field.name.startswith("GGUF.") and field.name != "general.architecture":
            value = name if field.name == "general.name" else field.contents()
            writer.add_key_value(field.name, value, *field.types[:2])
    for tensor in reader.tensors:
        data, kind = tensor.data, tensor.tensor_type
        if tensor.name in sides:
            data, kind = _changed(tensor, sides[tensor.name], scale)
        writer.add_tensor(tensor.name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _changed(tensor: Any, sides: dict[str, Any], scale: float) -> tuple[Any, Any]:
    """Return a tensor with its part of the adapter added, and the type it is kept in."""
    import gguf
    import numpy as np

    plain = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
    plain = plain.reshape(tuple(reversed(tensor.shape.tolist()))) + scale * (
        sides["B"] @ sides["A"]
    )
    kinds = gguf.GGMLQuantizationType
    whole = tensor.tensor_type in (kinds.F32, kinds.F16, kinds.BF16)
    kind = kinds.F16 if whole or plain.shape[-1] % 32 else kinds.Q8_0
    return gguf.quants.quantize(np.ascontiguousarray(plain), kind), kind
