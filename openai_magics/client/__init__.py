"""Asking for real: the only folder that imports ``openai``, and what it speaks HTTP with.

A question is sent as a body of plain values, with the URL and the headers of the client, and the
answer is read as bytes: the typed ``create`` walks every message of the history at each ask
and builds a model object for each chunk, which costs more than all the rest together. What is
listed, uploaded or trained goes through the client's own methods.
"""

from __future__ import annotations

from openai_magics.calls import Listener
from openai_magics.client.live import Live

__all__ = ["Listener", "Live"]
