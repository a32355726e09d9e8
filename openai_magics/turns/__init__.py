"""Taking a request through: what came before it, its slot, the sender, its record.

`Turns.run` (and `Turns.arun`) is the one way from a request to a reply; listings go it as
asks do.
"""

from openai_magics.turns.asking import Asking, here
from openai_magics.turns.run import Turns

__all__ = ["Asking", "Turns", "here"]
