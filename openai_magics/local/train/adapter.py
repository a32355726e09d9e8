"""An adapter of PEFT as llama.cpp reads it: a GGUF with two small matrices a layer.

The names are llama.cpp's, from the table in ``gguf``. In the architecture ``llama`` the rows of
the query and key matrices stand in another order there (the halves that a rotation pairs are
interleaved), so the rows of ``lora_B`` are put into that order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from openai_magics.local.jobs import store
from openai_magics.local.train.runner import TrainingFailed

__all__ = ["Converter"]

KEY = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight")


class Converter:
    """Converts adapters of one model; its file is opened once.

    Raises
    ------
    TrainingFailed
        llama.cpp's table does not know the model's architecture.
    """

    def __init__(self, base: Path) -> None:
        import gguf

        reader = gguf.GGUFReader(base)

        def field(name: str) -> Any:
            return reader.fields[name].contents()

        self.architecture = str(field("general.architecture"))
        found = {name: number for number, name in gguf.MODEL_ARCH_NAMES.items()}
        if self.architecture not in found:
            text = f"llama.cpp's architecture {self.architecture!r} is not known here."
            raise TrainingFailed("model_not_available", text, "model")
        self.heads = int(field(f"{self.architecture}.attention.head_count"))
        kept = reader.fields.get(f"{self.architecture}.attention.head_count_kv")
        self.key_heads = self.heads if kept is None else int(kept.contents())
        layers = int(field(f"{self.architecture}.block_count"))
        self.names = gguf.get_tensor_name_map(found[self.architecture], layers)
        self.tensors = {tensor.name for tensor in reader.tensors}

    def convert(self, folder: Path) -> Path:
        """Write ``adapter.gguf`` beside the files of PEFT in *folder*; return its path.

        Raises
        ------
        TrainingFailed
            A part of the adapter has no place in the GGUF.
        OSError
            There is no room.
        """
        import gguf
        import numpy as np

        target = folder / "adapter.gguf"
        writer = gguf.GGUFWriter(target, self.architecture)
        writer.add_type(gguf.GGUFType.ADAPTER)
        writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
        writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, self.alpha(folder))
        for name, side, matrix in self.matrices(folder):
            writer.add_tensor(f"{name}.lora_{side.lower()}", np.ascontiguousarray(matrix))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return target

    @staticmethod
    def alpha(folder: Path) -> float:
        """Return by what, over the rank, an adapter's product is scaled."""
        return float(store.read(folder / "adapter_config.json")["lora_alpha"])

    def matrices(self, folder: Path) -> Iterator[tuple[str, str, Any]]:
        """Yield the matrices of an adapter: the tensor's name in the GGUF, ``A`` or ``B``, values.

        Raises
        ------
        TrainingFailed
            A part of the adapter has no place in the GGUF.
        """
        import numpy as np
        from safetensors.numpy import load_file

        for key, value in load_file(folder / "adapter_model.safetensors").items():
            match = KEY.fullmatch(key)
            module = match["module"] if match else key
            name = self.names.get_name(f"{module}.weight", try_suffixes=(".weight",))
            if match is None or name not in self.tensors:
                text = f"The adapter's part {key} has no place in the model's GGUF file."
                raise TrainingFailed("adapter_differs", text, "model")
            matrix = value.astype(np.float32)
            if match["side"] == "B" and self.architecture == "llama":
                if module.endswith("q_proj"):
                    matrix = _interleaved(matrix, self.heads)
                elif module.endswith("k_proj"):
                    matrix = _interleaved(matrix, self.key_heads)
            yield name, match["side"], matrix


def _interleaved(matrix: Any, heads: int) -> Any:
    """Return rows of heads, each of two halves, with the halves interleaved."""
    half = matrix.shape[0] // heads // 2
    shaped = matrix.reshape(heads, 2, half, *matrix.shape[1:])
    return shaped.swapaxes(1, 2).reshape(matrix.shape)
