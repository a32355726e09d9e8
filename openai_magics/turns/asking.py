"""What is asked and how it is sent, as a value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from openai_magics import cells
from openai_magics.branches import Branch
from openai_magics.conversation import Place, Turn
from openai_magics.exchange import Reply, Request
from openai_magics.replay import Replay, Sender

if TYPE_CHECKING:
    from openai_magics.assistants.assistant import Assistant
    from openai_magics.rounds.steps import Step
    from openai_magics.schemas.shape import Shape
    from openai_magics.tools.toolbox import Toolbox

__all__ = ["Asking", "here"]


@dataclass(frozen=True)
class Asking:
    """A request as the notebook makes it, without what came before it, and how to send it.

    ``conversation`` is ``None`` for what neither sees a conversation nor joins one; ``new``
    begins it anew; ``fresh`` asks even where an answer is recorded; ``judge`` is who judges
    the answer's sentiment, ``format`` how the cell shows it, ``template`` the prompt before its
    placeholders were filled. ``through`` asks in place of the client's sender (several requests
    that make one answer); ``stands`` tells of a recorded answer whether it still holds, or is to
    be asked for anew where that is possible. ``answers`` makes the sender of what is looked up
    here, not asked of a service; ``assistant`` is whose set-up the request has; ``branch`` is
    the turn that it comes after, where that is not the last one of its conversation; ``shape``
    what the answer is to be; ``tools`` are run where the model calls them (at most
    ``max_rounds`` times), those whose results are recorded only with ``run_tools``. ``since``
    are the exchanges of this very ask so far, ``steps`` what is shown of them. ``after`` is the
    id of the record that it comes after, ``""`` for none, though it is no part of this run then;
    ``None`` where what this run has said decides.
    """

    request: Request
    conversation: str | None = None
    new: bool = False
    after: str | None = None
    fresh: bool = False
    mode: str | None = None
    judge: str | None = None
    format: str | None = None
    template: str | None = None
    through: Sender | None = None
    stands: Callable[[Reply], bool] | None = None
    answers: Callable[[Replay, str], Sender] | None = None
    assistant: Assistant | None = None
    branch: Branch | None = None
    shape: Shape | None = None
    tools: Toolbox | None = None
    run_tools: bool = False
    max_rounds: int = 8
    since: tuple[Turn, ...] = ()
    steps: tuple[Step, ...] = ()

    @property
    def joins(self) -> str | None:
        """The conversation of this run that it becomes part of."""
        return self.conversation if self.after is None else None


def here() -> Place:
    """Return the cell that runs now."""
    return Place(cells.cell_id(), cells.execution())
