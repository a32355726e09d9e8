"""Code in colours: Pygments' classes on tokens, for the style sheet of the panels."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pygments.lexer import Lexer

__all__ = ["LONGEST", "highlighted"]

LONGEST = 50_000
"""Characters: longer code is shown without colours."""
NAME = re.compile(r"[\w.+#-]{1,32}")


@lru_cache(maxsize=64)
def _lexer(language: str) -> Lexer | None:
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        return get_lexer_by_name(language, stripnl=False, ensurenl=False)
    except ClassNotFound:
        return None


def highlighted(source: str, language: str, _attributes: str = "") -> str:
    """Return code as HTML, or ``""`` where its language is not known.

    Every character of the source is escaped by Pygments' formatter; what is added is ``span``
    with a class.

    Parameters
    ----------
    source : str
    language : str
        As the fence says it, and nothing to be trusted.
    """
    if not NAME.fullmatch(language) or len(source) > LONGEST:
        return ""
    if (lexer := _lexer(language.lower())) is None:
        return ""
    # Not from `pygments.formatters`: that module puts another one in its place as it is imported,
    # and a thread that came in the middle would hold the one without the formatters.
    from pygments import highlight
    from pygments.formatters.html import HtmlFormatter

    return str(highlight(source, lexer, HtmlFormatter(nowrap=True)))
