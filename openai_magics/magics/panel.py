"""``%panel``: the session in widgets."""

from __future__ import annotations

from IPython.core.magic import line_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments

from openai_magics.magics.base import Family
from openai_magics.panels import PANELS, panel

__all__ = ["PanelMagics"]


@magics_class
class PanelMagics(Family):
    """Panels over the notebook's session."""

    @no_var_expand
    @line_magic
    @magic_arguments()
    @argument("name", choices=tuple(PANELS), help="which panel")
    def panel(self, line: str) -> None:
        """Show a panel over the notebook's session: the same conversations, the same dialogue file.

        Shown again it is another view of the same panel.

        Examples::

            %panel chat
            %panel images
            %panel training
            %panel dialogue
            %panel models
        """
        panel(self.typed(self.panel, "%panel", line).name, self.session).show()
