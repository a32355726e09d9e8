"""The fixtures of this layer."""

from __future__ import annotations

from tests.browser.lab import browser, jupyter, lab, page, server

__all__ = ["browser", "jupyter", "lab", "page", "server"]
