"""Asking for real: the only folder that imports ``openai``, and what it speaks HTTP with.

The request goes through the client's low-level ``post`` with a body of plain values and the
answer is read as bytes: the typed ``create`` walks every message of the history at each ask
and builds a model object for each chunk, which costs more than all the rest together.
"""

from __future__ import annotations

from openai_magics.calls import Listener
from openai_magics.client.live import Live

__all__ = ["Listener", "Live"]
