"""``python -m openai_magics.local.train``: see `openai_magics.local.train.command`."""

import sys

from openai_magics.local.train.command import run

if __name__ == "__main__":
    sys.exit(run())
