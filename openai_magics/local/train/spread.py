"""Several processes that train together (``torchrun``, ``accelerate launch``), or one alone.

Each has the whole model and does its share of every batch; the gradients are added up, so that
the result is that of one process.
"""

from __future__ import annotations

import os
from typing import Any

__all__ = ["Spread"]


class Spread:
    """The processes: how many (``world``), and which one this is (``rank``, 0 is the first)."""

    def __init__(self) -> None:
        self.world = int(os.environ.get("WORLD_SIZE", "1"))
        self.rank = int(os.environ.get("RANK", "0"))
        if self.world > 1:
            import torch
            import torch.distributed

            backend = "nccl" if torch.cuda.is_available() else "gloo"
            torch.distributed.init_process_group(backend)

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes and speaks."""
        return self.rank == 0

    def share(self, items: list[Any]) -> list[Any]:
        """Return this process's part of *items*."""
        return items[self.rank :: self.world]

    def add_up(self, tensors: list[Any]) -> None:
        """Replace each tensor by its sum over all processes."""
        if self.world > 1:
            import torch
            import torch.distributed

            # One message for all, since most adapters are small.
            flat = torch.cat([tensor.flatten() for tensor in tensors])
            torch.distributed.all_reduce(flat)
            place = 0
            for tensor in tensors:
                tensor.copy_(flat[place : place + tensor.numel()].view_as(tensor))
                place += tensor.numel()

    def end(self) -> None:
        """Leave the others in order."""
        if self.world > 1:
            import torch.distributed

            torch.distributed.destroy_process_group()
