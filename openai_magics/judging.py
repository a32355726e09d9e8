"""What the record of a new answer keeps besides it: what it cost, and its sentiment."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from openai_magics import logs, prices
from openai_magics.config import Settings
from openai_magics.errors import MagicsError
from openai_magics.exchange import Reply, Request
from openai_magics.turns import Asking, Turns
from openai_magics.twins import twin

if TYPE_CHECKING:
    from openai_magics.exchange import Sentiment

__all__ = ["Judges"]

log = logging.getLogger("openai_magics")


class Judges:
    """Judges answers, for `Session`, which has these."""

    settings: Settings
    turns: Turns

    def determine_sentiment(self, text: str) -> Sentiment | None:
        """Return ``"positive"``, ``"negative"``, ``"neutral"``, or ``None`` where it cannot be told.

        The lexicon judges; where the setting ``sentiment`` is ``model``, the model (its
        answer is recorded and replayed as any other).
        """
        said = self.settings.said
        own = Asking(Request(model=said("model"), endpoint=said("base_url")))
        return self._sentiment(text, self.settings.get("sentiment"), own)

    adetermine_sentiment = twin(determine_sentiment)

    def _sentiment(self, text: str, judge: str, asking: Asking) -> Sentiment | None:
        if judge == "model":
            return self._judged_by_model(text, asking)
        from openai_magics.sentiment import determine

        return determine(text)

    def _judge(self, asking: Asking, reply: Reply) -> Reply:
        """Add to a new reply what its record keeps of it: cost and sentiment."""
        resolved = reply.resolved
        cost = prices.cost(reply.model or resolved.model, resolved.endpoint, reply.usage)
        judge, judged = self.settings.get("sentiment", asking.judge), None
        if asking.request.kind == "ask" and _spoken(asking, reply) and judge != "off":
            judged = self._sentiment(reply.text, judge, asking)
        return replace(reply, cost=cost, sentiment=judged)

    def _judged_by_model(self, text: str, asking: Asking) -> Sentiment | None:
        """Ask the model that *asking* asks."""
        prompt = (
            "Is the sentiment of the text below positive, negative or neutral? "
            f"Answer with that one word.\n\n{text[:4000]}"
        )
        request = Request(
            kind="sentiment",
            model=asking.request.model,
            endpoint=asking.request.endpoint,
            messages=({"role": "user", "content": prompt},),
        )
        try:
            word = self.turns.run(Asking(request, mode=asking.mode)).text
        except MagicsError as error:
            # The answer itself has come and is recorded, whatever became of its judgement.
            log.warning("The model did not judge the sentiment: %s", logs.told(error))
            return None
        found = word.strip(" \n.*\"'").lower()
        return found if found in ("positive", "negative", "neutral") else None  # type: ignore[return-value]


def _spoken(asking: Asking, reply: Reply) -> bool:
    """Whether a reply is an answer in words: neither data nor calls of tools."""
    return asking.shape is None and not reply.tool_calls
