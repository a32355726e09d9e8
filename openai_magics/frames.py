"""Records and listings as pandas DataFrames."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from openai_magics.errors import MagicsError
from openai_magics.exchange import Exchange, Message, Reply, joined

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["descriptions_frame", "dialogue_frame", "models_frame", "words"]

DIALOGUE = (
    "kind",
    "conversation",
    "cell",
    "system",
    "user",
    "assistant",
    "model",
    "endpoint",
    "prompt_tokens",
    "completion_tokens",
    "cost",
    "duration",
    "sentiment",
    "finish_reason",
    "error",
    "assistant_name",
    "fingerprint",
    "occurrence",
    "id",
    "parent",
    "created",
)
MODELS = ("id", "created", "owned_by", "shutdown_date")


def words(messages: Iterable[Message], role: str = "user") -> str:
    """Return the text of the messages of *role*; other parts by their type in brackets."""
    found: list[str] = []
    for message in messages:
        if message.get("role") != role:
            continue
        content = message.get("content")
        for part in content if isinstance(content, list) else [content]:
            if isinstance(part, Mapping):
                found.append(str(part.get("text") or f"[{part.get('type')}]"))
            elif part:
                found.append(str(part))
    return "\n".join(found)


def dialogue_frame(exchanges: Iterable[Exchange]) -> pd.DataFrame:
    """Return one row a record, in the order of the file.

    Columns: ``kind, conversation, cell``; the texts by role ``system, user, assistant``;
    ``model, endpoint`` that answered; ``prompt_tokens, completion_tokens``; ``cost`` (US
    dollars), ``duration`` (seconds); ``sentiment, finish_reason, error``; ``assistant_name``,
    whose set-up the request has; ``fingerprint, occurrence, id, parent``; ``created`` (UTC). ``occurrence`` is missing for what is never
    replayed; a lone surrogate in a text is its escape.
    """
    import pandas as pd

    rows = [_row(item) for item in exchanges]
    # Where pyarrow is installed pandas keeps text there, and it takes no lone surrogate.
    with pd.option_context("mode.string_storage", "python"):
        frame = pd.DataFrame(rows, columns=pd.Index(DIALOGUE))
    frame["created"] = pd.to_datetime(frame["created"], utc=True, errors="coerce", format="ISO8601")
    for column in ("prompt_tokens", "completion_tokens", "occurrence"):
        frame[column] = frame[column].astype("Int64")
    for column in ("cost", "duration"):
        frame[column] = frame[column].astype("float64")
    return cast("pd.DataFrame", frame)


def _row(item: Exchange) -> dict[str, Any]:
    reply, request = item.reply, item.request
    return {
        "kind": request.kind,
        "conversation": item.conversation,
        "cell": item.cell,
        "system": _whole(item.resolved.system or request.system),
        "user": _whole(words(request.messages) or None),
        "assistant": _whole(reply.text or reply.refusal if reply else None),
        "model": (reply.model if reply else None) or item.resolved.model,
        "endpoint": item.resolved.endpoint,
        "prompt_tokens": reply.usage.get("prompt_tokens") if reply else None,
        "completion_tokens": reply.usage.get("completion_tokens") if reply else None,
        "cost": reply.cost if reply else None,
        "duration": item.duration,
        "sentiment": reply.sentiment if reply else None,
        "finish_reason": reply.finish_reason if reply else None,
        "error": item.error.get("type") if item.error else None,
        "assistant_name": item.assistant.get("name") if item.assistant else None,
        "fingerprint": item.fingerprint,
        "occurrence": item.occurrence,
        "id": item.id,
        "parent": request.parent,
        "created": item.created or None,
    }


def _whole(text: str | None) -> str | None:
    """Return *text* with a lone surrogate as its escape: a kernel cannot send it, nor a file hold it."""
    return text and joined(text).encode("utf-8", "backslashreplace").decode()


def models_frame(payload: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row a model: ``id, created`` (UTC), ``owned_by, shutdown_date``, and what else the server tells."""
    import pandas as pd

    rows = [item for item in payload.get("data") or () if isinstance(item, Mapping)]
    others = {name for row in rows for name in row if name not in (*MODELS, "object")}
    frame = pd.DataFrame(rows, columns=pd.Index([*MODELS, *sorted(others)]))
    frame["created"] = pd.to_datetime(frame["created"], unit="s", utc=True, errors="coerce")
    frame["shutdown_date"] = pd.to_datetime(frame["shutdown_date"], errors="coerce").dt.date
    return cast("pd.DataFrame", frame.sort_values("id", ignore_index=True))


def descriptions_frame(
    rows: Iterable[tuple[str, Reply | None, MagicsError | None]],
) -> pd.DataFrame:
    """Return one row an image: ``source, description, tokens, cost, error``.

    Parameters
    ----------
    rows : iterable
        What people call the image, and its reply or its error.
    """
    import pandas as pd

    found = [
        {
            "source": source,
            "description": reply.text if reply else None,
            "tokens": _tokens(reply.usage) if reply else None,
            "cost": reply.cost if reply else None,
            "error": f"{type(error).__name__}: {error.problem}" if error else None,
        }
        for source, reply, error in rows
    ]
    columns = pd.Index(["source", "description", "tokens", "cost", "error"])
    frame = pd.DataFrame(found, columns=columns)
    frame["tokens"] = frame["tokens"].astype("Int64")
    frame["cost"] = frame["cost"].astype("float64")
    return cast("pd.DataFrame", frame)


def _tokens(usage: Mapping[str, Any]) -> int | None:
    counted = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
    known = [count for count in counted if isinstance(count, int)]
    return sum(known) if known else None
