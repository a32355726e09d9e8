r"""The values: what is asked (`Request`), what came back (`Reply`), and the record of both (`Exchange`).

Fingerprint of a request
    ``"v1:" + hex(sha256(b"openai_magics/fingerprint/1\n" + canonical JSON of the object))``
    with the keys ``kind, model, endpoint, parameters, schema, tools, system, messages,
    max_history, parent``, and ``api`` where the notebook says which: what the *notebook* says, ``null`` where it says nothing (canonical
    JSON: see `openai_magics.canonical`). What its surroundings
    decide (key, default model, local engine, environment, configuration files) does not
    enter. ``parent`` is the id of the record of the turn before.

Id of a record
    The same with the tag ``openai_magics/record/1`` over ``fingerprint, occurrence, reply,
    error``, where ``reply`` is what was said (``text, refusal, tool_calls, finish_reason,
    payload``), not who served it. Another answer is another id, hence another request
    downstream; the same answer given again is the same one.

Any tool can compute both from a record of the dialogue file.
"""

from openai_magics.asked import AskOptions
from openai_magics.canonical import canonical_json, digest, joined
from openai_magics.exchange.record import RECORD, Exchange, record_id
from openai_magics.exchange.reply import Reply, Resolved, Sentiment
from openai_magics.exchange.request import (
    SAID,
    SAID_PLAINLY,
    Attachment,
    Message,
    Request,
    image_parts,
)

__all__ = [
    "RECORD",
    "SAID",
    "SAID_PLAINLY",
    "AskOptions",
    "Attachment",
    "Exchange",
    "Message",
    "Reply",
    "Request",
    "Resolved",
    "Sentiment",
    "canonical_json",
    "digest",
    "image_parts",
    "joined",
    "record_id",
]
