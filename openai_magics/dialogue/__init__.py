"""The dialogue file: every exchange with a model, beside the notebook, one a line.

::

    {"format": "openai_magics.dialogue", "version": 1, "notebook": "analysis.ipynb", "exchanges": [
    {"fingerprint": "v1:…", "occurrence": 0, "id": "…", "kind": "ask", …},
    {"fingerprint": "v1:…", "occurrence": 0, "id": "…", "kind": "ask", …}
    ]}

It is valid JSON at all times. A record is appended by overwriting the closing brackets with
one write, under an exclusive lock on the file itself and followed by ``fsync``: the cost does
not grow with the file, and no lock file is left beside the notebook. A slot is a fingerprint
and an occurrence; its last record is its answer, the earlier ones are its history. A record
whose ``occurrence`` is ``null`` is never replayed.

What a crash can leave is a last line that is cut off: it is set aside in
``<file>.rescued-<time>`` and said. Anything else that is not as above is an error that names
the line; a damaged file is never treated as empty and never overwritten.
"""

from __future__ import annotations

from openai_magics.dialogue.file import NOWHERE, DialogueFile, Mark
from openai_magics.dialogue.records import record_line

__all__ = ["NOWHERE", "DialogueFile", "Mark", "record_line"]
