"""What a dialogue comes to: its conversations, and what was used, as DataFrames."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

from openai_magics.chains import Chain
from openai_magics.errors import OptionError, nearest
from openai_magics.exchange import Exchange

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BY", "conversations_frame", "usage_frame"]

CONVERSATIONS = ("name", "turns", "first", "last", "models", "tokens", "cost", "branched_from")
BY = ("model", "day", "month", "conversation", "endpoint", "kind")
SUMS = ("prompt_tokens", "completion_tokens", "cost")


def conversations_frame(chains: Iterable[Chain]) -> pd.DataFrame:
    """Return one row a conversation as it stands.

    Columns: ``name, turns``; ``first, last`` (UTC); ``models`` that answered; ``tokens``
    (prompts and answers, missing where no server counted); ``cost`` (US dollars, NaN where
    a turn's price is not known); ``branched_from``, the conversation whose turns it begins
    with.
    """
    import pandas as pd

    rows = [_conversation(chain) for chain in chains if chain.conversation is not None]
    frame = pd.DataFrame(rows, columns=pd.Index(CONVERSATIONS))
    for column in ("first", "last"):
        frame[column] = pd.to_datetime(frame[column], utc=True, errors="coerce", format="ISO8601")
    frame["tokens"] = frame["tokens"].astype("Int64")
    frame["cost"] = frame["cost"].astype("float64")
    return cast("pd.DataFrame", frame)


def _conversation(chain: Chain) -> dict[str, Any]:
    items = [turn.exchange for turn in chain.turns]
    replies = [item.reply for item in items if item.reply is not None]
    times = sorted(item.created for item in items if item.created)
    counts = [
        reply.usage[name]
        for reply in replies
        for name in SUMS[:2]
        if isinstance(reply.usage.get(name), int)
    ]
    models = ((item.reply and item.reply.model) or item.resolved.model for item in items)
    return {
        "name": chain.conversation,
        "turns": len(items),
        "first": times[0] if times else None,
        "last": times[-1] if times else None,
        "models": ", ".join(dict.fromkeys(name for name in models if name)),
        "tokens": sum(counts) if counts else None,
        "cost": sum(reply.cost for reply in replies),
        "branched_from": next(
            (
                item.conversation
                for item in reversed(items)
                if item.conversation != chain.conversation
            ),
            None,
        ),
    }


def usage_frame(
    exchanges: Iterable[Exchange], by: Sequence[str] | str = ("model", "day")
) -> pd.DataFrame:
    """Return what was used: one row a group, all records that were asked of a model.

    Parameters
    ----------
    exchanges : iterable of Exchange
        Superseded answers and failures among them: they were asked for too.
    by : sequence of str
        Of ``model, day, month, conversation, endpoint, kind``; days and months are UTC. None:
        one row for all.

    Columns: those of *by*; ``requests``; ``prompt_tokens, completion_tokens``, missing where
    no server counted any; ``cost`` in US dollars of the requests whose price is known, NaN
    where none is; ``unpriced``, how many requests it leaves out.
    """
    import pandas as pd

    keys = [by] if isinstance(by, str) else list(by)
    for key in keys:
        if key not in BY:
            raise OptionError(
                f"Usage cannot be told by {key!r}{nearest(key, BY)}.", f"By: {', '.join(BY)}."
            )
    rows = [_used(item) for item in exchanges if item.request.messages]
    frame = pd.DataFrame(rows, columns=pd.Index([*BY, *SUMS]))
    for column in SUMS:
        kind = "float64" if column == "cost" else "Int64"
        frame[column] = frame[column].astype(kind)
    frame["unpriced"] = frame["cost"].isna().astype("int64")
    frame["requests"] = 1
    groups = frame.groupby(keys or (lambda _: 0), dropna=False, sort=True)
    made = groups[["requests", *SUMS]].sum(min_count=1)
    made["unpriced"] = groups["unpriced"].sum()
    return cast("pd.DataFrame", made.reset_index(drop=not keys))


def _used(item: Exchange) -> dict[str, Any]:
    reply = item.reply
    usage = reply.usage if reply else {}
    return {
        "model": (reply.model if reply else None) or item.resolved.model or item.request.model,
        "day": item.created[:10] or None,
        "month": item.created[:7] or None,
        "conversation": item.conversation,
        "endpoint": item.resolved.endpoint,
        "kind": item.request.kind,
        "prompt_tokens": usage.get("prompt_tokens"),
        "completion_tokens": usage.get("completion_tokens"),
        "cost": reply.cost if reply else None,
    }
