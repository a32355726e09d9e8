"""What two runs of a notebook are compared by."""

from __future__ import annotations

from openai_magics import rerun
from openai_magics.panels.models import ModelsPanel
from openai_magics.session import Session


def test_panels_are_left_out() -> None:
    """A panel shows the state of the moment: its output says nothing of the run."""
    data, metadata = ModelsPanel(Session("m", mode="replay")).bundle()
    shown = {"output_type": "display_data", "data": data, "metadata": metadata}
    stream = {"output_type": "stream", "name": "stdout", "text": "x"}
    assert rerun.outputs({"outputs": [shown, stream]}) == [stream]
