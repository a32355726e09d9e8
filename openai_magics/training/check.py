"""Finding what is wrong with training data, in one pass and a few megabytes whatever its size.

What is checked: JSON and encoding, roles and their order, content, tools, images, length in
tokens, duplicates and contradictions, split leakage, and what looks like a secret.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from openai_magics.errors import counted
from openai_magics.training.diagnose import NotJSON, guess, loads
from openai_magics.training.formats import FORMATS
from openai_magics.training.lengths import Lengths, auto_epochs, counter, limit
from openai_magics.training.own import Counter
from openai_magics.training.problems import EACH, Problem, Report
from openai_magics.training.scan import LEAKED, Scan
from openai_magics.training.sources import Source

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Check", "check", "method_of"]

LEAST = 10
"""Examples below which OpenAI takes no job."""
LOOKED = 50
NO_LIMIT = 1 << 60


@dataclass(frozen=True)
class Check:
    """What was found in training data.

    Attributes
    ----------
    name, method : str
        The data, and what it is for (``supervised``, ``dpo``, ``reinforcement``).
    training, validation : Lengths
        Examples, messages and tokens of each; ``validation`` is ``None`` without any.
    epochs : int
        How often each example will be seen.
    price : float
        US dollars for all epochs; NaN where it is not known.
    report : Report
        The problems, counted and (the first of each kind) with their lines.
    where : str
        Which model would be trained, and where; empty where that is not known.
    retires : str
        The day on which that model is turned off; or empty.
    """

    name: str
    method: str
    training: Lengths
    validation: Lengths | None
    epochs: int
    price: float
    report: Report = field(repr=False)
    where: str = ""
    retires: str = ""

    @property
    def problems(self) -> pd.DataFrame:
        """The problems, a row each: ``file, line, column, severity, problem, remedy``."""
        return self.report.frame()

    @property
    def errors(self) -> int:
        """How many problems there are that the service would refuse."""
        return self.report.count("error")

    @property
    def warnings(self) -> int:
        """How many more there are to look at."""
        return self.report.count("warning")

    @property
    def ok(self) -> bool:
        """Whether there is no error."""
        return not self.errors

    @property
    def summary(self) -> list[tuple[str, str]]:
        """What there is to say beside the problems, as names and values."""
        about = "" if self.training.counted else "about "
        held = self.training
        trained = held.tokens * self.epochs
        rows = [
            ("data", f"{self.name} ({FORMATS[self.method]} format, for {self.method} training)"),
            *([("trains", self.where)] if self.where else []),
            *(
                [("retires", f"{self.retires}, with all that is tuned from it")]
                if self.retires
                else []
            ),
            ("examples", f"{held.examples:,} ({held.messages:,} messages)"),
            ("tokens", f"{about}{held.tokens:,}; the longest example {about}{held.longest:,}"),
            ("counted by", held.by),
        ]
        if self.validation is not None:
            other = self.validation
            rows.append(
                ("validation", f"{other.examples:,} examples, {about}{other.tokens:,} tokens")
            )
        rows += [
            ("epochs", f"{self.epochs}: {about}{trained:,} tokens to train on"),
            ("price", self._price),
            (
                "problems",
                counted(self.errors, "error", ",") + ", " + counted(self.warnings, "warning", ","),
            ),
        ]
        for (severity, kind), count in sorted(self.report.counts.items()):
            shown = f", the first {EACH} of them in the table" if count > EACH else ""
            rows.append((f"  {severity}", f"{kind}: {count:,}{shown}"))
        return [*rows, *((f"  {label} tokens", bar) for label, bar in held.bars())]

    @property
    def _price(self) -> str:
        if self.price == self.price:
            return f"{self.price:.2f} USD"
        return "not known" + ("" if self.method == "supervised" else f" for {self.method} training")


def method_of(source: Source) -> str:
    """Return the method that the first examples of some data are for; supervised in doubt."""
    looked = 0
    for block in source.blocks():
        for line in block.data.split(b"\n"):
            try:
                method = guess(loads(line))
            except NotJSON:
                method = None
            if method is not None:
                return method
            looked += 1
            if looked > LOOKED:
                return "supervised"
    return "supervised"


def check(
    source: Source,
    validation: Source | None = None,
    *,
    method: str | None = None,
    model: str | None = None,
    epochs: int | Callable[[int], int] = auto_epochs,
    refused_by: str | None = None,
    tokens: bool = True,
    price: Callable[[str, int], float] | None = None,
    own: Counter | None = None,
    where: str = "",
    retires: str = "",
) -> Check:
    """Find what is wrong with training data.

    Parameters
    ----------
    source, validation : Source
    method : {"supervised", "dpo", "reinforcement"}, optional
        By default the one whose format the data has.
    model : str, optional
        Whose limit of tokens holds.
    epochs : int or callable
        A number, or what ``auto`` comes to for so many examples (by default `auto_epochs`).
    refused_by : str, optional
        Who refuses fewer than `LEAST` examples.
    tokens : bool
        Whether tokens are counted; else they are estimated from the characters.
    price : callable, optional
        Gives US dollars for a method and a number of tokens.
    own : Counter, optional
        Counts tokens as the very model does that will be trained.
    where, retires : str
        As in `Check`.

    Raises
    ------
    OptionError
        The data cannot be read.
    """
    method = method or method_of(source)
    most = limit(model) if own is None else NO_LIMIT
    scan = Scan(method, most, counter() if tokens and own is None else None)
    training = scan.read(source)
    scan.validation_follows()
    held_out = scan.read(validation) if validation is not None else None
    scan.tell_repeats()
    if own is not None:
        training = own.again(source, method, training, scan.report)
        if validation is not None and held_out is not None:
            held_out = own.again(validation, method, held_out, scan.report)
    leaked = scan.report.counts["error", LEAKED[0]]
    if held_out is not None and leaked == held_out.examples == training.examples > 1:
        scan.report.add([ALL_LEAKED], None, source.name)
    if not training.examples and not scan.report.rows:
        scan.report.add([EMPTY], None, source.name)
    elif training.examples < LEAST:
        scan.report.add([_few(training.examples, refused_by)], None, source.name)
    seen = epochs if isinstance(epochs, int) else epochs(training.examples)
    cost = float("nan") if price is None else price(method, training.tokens * seen)
    return Check(source.name, method, training, held_out, seen, cost, scan.report, where, retires)


ALL_LEAKED = Problem(
    LEAKED[0],
    "The validation data is the training data: each example of one is in the other.",
    "Give other data, or hold out a part of it: --split 0.1.",
)
EMPTY = Problem("empty", "There is no example in it.", "Give data with an example a line.")


def _few(count: int, refused_by: str | None) -> Problem:
    one = "1 example is" if count == 1 else f"{count} examples are"
    who = refused_by or "OpenAI"
    return Problem(
        "few examples",
        f"{one} few: {who} takes no fewer than {LEAST}, and 50 to 100 are advised.",
        "Add more; they need not be long.",
        "warning" if refused_by is None else "error",
    )
