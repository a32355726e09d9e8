"""What one Python makes of images and figures, as JSON: run by `test_versions` with several.

``python tests/unit/versions.py FOLDER``: FOLDER has image files. It takes Pillow; numpy and
matplotlib where they are there.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import PIL
from PIL import Image

from openai_magics.exchange import Request
from openai_magics.images.prepare import prepare, said
from openai_magics.images.source import Source, sources


def fingerprint(source: Source) -> str:
    content = [{"type": "text", "text": "What is it?"}, said(source, "high")]
    return Request(messages=({"role": "user", "content": content},)).fingerprint


def told(source: Source) -> dict[str, Any]:
    """Return its fingerprint, what is sent of it, and its look."""
    sent = prepare(source, "high")
    return {
        "fingerprint": fingerprint(source),
        "sent": [sent.media_type, sent.width, sent.height],
        "phash": sent.phash,
        "likeness": source.likeness,
    }


def figures() -> dict[str, dict[str, Any]]:
    """Return what is told of plots of many kinds; the first of each pair has other data."""
    try:
        import matplotlib as mpl
    except ImportError:
        return {}
    mpl.use("Agg")
    import matplotlib.pyplot as plt
    import numpy as np

    random = np.random.default_rng(0)
    x, cloud, grid = np.linspace(0, 10, 50), random.normal(0, 1, (300, 2)), random.random((9, 9))
    kinds = {
        "line": lambda axes, k: axes.plot(x, np.sin(x) + k * (x == x[25])),
        "noise": lambda axes, k: axes.plot(x, cloud[:50, k], "o-"),
        "bars": lambda axes, k: axes.bar(list("abcd"), [3, 7 - k, 2, 5]),
        "cloud": lambda axes, k: axes.scatter(*(cloud + k * (cloud == cloud.max())).T, s=8),
        "histogram": lambda axes, k: axes.hist(cloud[:, 0] + 3 * k, bins=20),
        "map": lambda axes, k: plt.colorbar(axes.imshow(grid if not k else grid.T)),
        "mesh": lambda axes, k: axes.pcolormesh(grid + k * np.eye(9)),
        "pie": lambda axes, k: axes.pie([3, 2 + k / 4, 5], labels=list("uvw"), autopct="%.0f%%"),
        "boxes": lambda axes, k: axes.boxplot([cloud[:99, 0], cloud[:99, 1] + k]),
        "errors": lambda axes, k: axes.errorbar(x, x + 1, yerr=x / (5 + k)),
        "log": lambda axes, k: axes.loglog(x + 1, (x + 1) ** (2 + k)),
        "words": lambda axes, k: axes.text(0.1, 0.5, f"E = mc²\nno. {k}", fontsize=20),
        "filled": lambda axes, k: axes.fill_between(x, x, x + 1 + k, alpha=0.3),
        "steps": lambda axes, k: (axes.step(x, x), axes.axvspan(2, 3 + k), axes.axhline(k)),
    }
    found = {}
    for name, plot in kinds.items():
        for k in (0, 1):
            figure, axes = plt.subplots()
            plot(axes, k)
            axes.set_title("Measured on a Monday")
            axes.set_xlabel("time / s")
            found[f"{name} {k}"] = told(sources(figure)[0])
            plt.close(figure)
    return found


def main(folder: Path) -> None:
    files = {path.name: sources(path)[0] for path in sorted(folder.iterdir())}
    drawn = figures()
    opened = {name: sources(Image.open(source.held))[0] for name, source in files.items()}
    print(
        json.dumps(
            {
                "pillow": PIL.__version__,
                "matplotlib": getattr(sys.modules.get("matplotlib"), "__version__", None),
                "files": {name: told(source) for name, source in files.items()},
                "opened": {name: told(source) for name, source in opened.items()},
                "figures": drawn,
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
