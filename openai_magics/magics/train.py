"""``%train check``, ``%train start`` and ``%%train``: from data to a fine-tuning job."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from IPython.core.magic import line_cell_magic, magics_class, no_var_expand
from IPython.core.magic_arguments import argument, magic_arguments

from openai_magics import cells
from openai_magics.config import MODES
from openai_magics.errors import OptionError
from openai_magics.magics import job_text, options, show
from openai_magics.magics.base import Family

if TYPE_CHECKING:
    from openai_magics.connection import Target
    from openai_magics.training.check import Check
    from openai_magics.training.job import JobOptions

__all__ = ["TrainMagics"]

METHODS = ("supervised", "dpo", "reinforcement")
SENTIMENTS = ("positive", "negative", "neutral")


@magics_class
class TrainMagics(Family):
    """Training data and the jobs that learn from it."""

    @no_var_expand
    @line_cell_magic
    @magic_arguments()
    @argument("action", nargs="?", choices=("check", "start"), help="what to do")
    @argument("data", nargs="?", help="a file, a folder, or a variable (DataFrame, list)")
    @argument(
        "--from-dialogue", action="store_true", help="the dialogue of this notebook is the data"
    )
    @argument(
        "--all", action="store_true", help="of the dialogue, what earlier runs have said as well"
    )
    @argument(
        "-c", "--conversation", metavar="NAME", help="of the dialogue, only this conversation"
    )
    @argument(
        "--cell", action="append", metavar="ID", help="of the dialogue, only this cell's answers"
    )
    @argument(
        "--sentiment",
        action="append",
        choices=SENTIMENTS,
        help="of the dialogue, only such answers",
    )
    @argument("--prompt", metavar="COL", help="the column of a table that is asked")
    @argument("--completion", metavar="COL", help="the column that is the (better) answer")
    @argument("--rejected", metavar="COL", help="the column that is the worse answer (dpo)")
    @argument("-s", "--system", metavar="TEXT", help="a system instruction for every row")
    @argument("-m", "--model", help="the model to tune; `local` is the one on this machine")
    @argument("--method", choices=METHODS, help="default: what the data is for")
    @argument("--validation", metavar="DATA", help="data that is held out: a file or a variable")
    @argument("--split", type=float, metavar="PART", help="hold out this part of the data (0.1)")
    @argument("--epochs", metavar="N", help="how often each example is seen (default: auto)")
    @argument("--batch-size", metavar="N", help="examples in a step (default: auto)")
    @argument("--learning-rate", metavar="X", help="the multiplier of the learning rate")
    @argument("-p", "--param", action="append", metavar="KEY=VALUE", help="another hyperparameter")
    @argument("--suffix", help="part of the tuned model's name")
    @argument("--seed", type=int, help="the seed of the training")
    @argument("--metadata", action="append", metavar="KEY=VALUE", help="kept with the job")
    @argument("-d", "--description", metavar="TEXT", help="kept in job_ids.json")
    @argument("--fix", action="store_true", help="for `check`: write a mended copy")
    @argument("--yes", action="store_true", help="for `start`: do not ask")
    @argument("--force", action="store_true", help="for `start`: although the data has errors")
    @argument(
        "--fresh", action="store_true", help="check anew; start another job where one is recorded"
    )
    @argument("--mode", choices=MODES, help="replay, live or auto")
    @argument("--base-url", metavar="URL", help="the endpoint, for this job")
    @argument("-o", "--out", metavar="NAME", help="the variable that gets the problems, or the job")
    def train(self, line: str, cell: str | None = None) -> Any:
        """Check training data; start a fine-tuning job, which is kept beside the notebook.

        ``check`` sends nothing: it gives a DataFrame with a row a problem, and says how many
        tokens and epochs there are. ``start`` shows that, asks once, uploads what is not
        there yet, and submits. The job is in ``job_ids.json``; run again, the cell shows the
        recorded job and starts none.

        Examples::

            %train check examples.jsonl
            %train check examples.jsonl --fix
            %train check df --prompt question --completion answer --system "Be brief."
            %train start examples.jsonl --split 0.1 --suffix tides -d "tides, first try"
            %train start --from-dialogue --sentiment positive --yes

            %%train --yes
            data: examples.jsonl
            model: gpt-4.1-mini
            n_epochs: 3
            suffix: tides
        """
        name = "%train" if cell is None else "%%train"
        words = options.words(line)
        if cell is not None and (not words or words[0].startswith("-")):
            words = ["start", *words]
        typed = options.parse(options.parser_of(self.train), name, words)
        if typed.action is None:
            raise OptionError(f"{name}: what?", "%train check DATA, or %train start DATA")
        given = self._given(typed, cell)
        data, chosen = self._data(typed, given)
        if typed.action == "check":
            return self._check(data, chosen, typed)
        if typed.fix:
            raise OptionError(f"{name}: --fix is for check.", "%train check DATA --fix")
        return self._start(data, chosen, typed)

    def _check(self, data: Any, chosen: JobOptions, typed: Any) -> Any:
        from openai_magics import render

        training = self.session.training
        found = training.check(data, chosen, fresh=typed.fresh, mode=typed.mode)
        rows = found.summary
        if typed.fix:
            rows = [*rows, ("mended copy", str(training.mend(data, found.method, chosen)))]
        show.Once().finish(render.table(rows))
        frame = found.problems
        if typed.out is not None:
            self.names[typed.out] = frame
            return None
        return frame if len(frame) else None

    def _start(self, data: Any, chosen: JobOptions, typed: Any) -> None:
        from openai_magics.calls import Listener
        from openai_magics.training import shown

        stage = show.stage(self.shell, stream=True)
        asked: list[bool] = []

        def confirm(found: Check, _: Target | None) -> None:
            if not typed.yes:
                asked.append(True)
                self._confirm(found)

        try:
            started = self.session.training.start(
                data,
                chosen,
                confirm=confirm,
                listener=Listener(on_notice=stage.on_notice),
                fresh=typed.fresh,
                mode=typed.mode,
            )
        except BaseException:
            stage.finish(None)
            raise
        if asked and self._alone():
            # What was asked and answered is no part of the output: a replay asks nothing.
            from IPython.display import clear_output

            clear_output(wait=True)
        stage.finish(shown.started_bundle(started.job, started.summary))
        if typed.out is not None:
            self.names[typed.out] = started.job

    def _confirm(self, found: Check) -> None:
        where = found.where or "the service's default model"
        if not cells.watched(self.shell):
            raise OptionError(
                f"%train start: nobody is here to say yes to training {where}.",
                "Add --yes.",
            )
        text = "\n".join(f"{name}: {value}" for name, value in found.summary if value)
        answer = input(f"{text}\nTrain {where}? [y/N] ")
        if answer.strip().lower() not in ("y", "yes"):
            raise OptionError("Not started: the answer was no.", "Nothing was sent.")

    def _alone(self) -> bool:
        """Whether the cell holds nothing but this magic."""
        content = cells.request(self.shell).get("content")
        code = content.get("code") if isinstance(content, dict) else None
        text = str(code or "").strip()
        return text.startswith("%%train") or (text.startswith("%train") and "\n" not in text)

    def _given(self, typed: Any, cell: str | None) -> dict[str, Any]:
        """Return the fields of a job: those of the cell, and over them those of the line."""
        from openai_magics.training.job import from_mapping

        given = from_mapping(job_text.parsed(cell)) if cell is not None and cell.strip() else {}
        named = {
            name: getattr(typed, name)
            for name in (
                "data",
                "model",
                "base_url",
                "validation",
                "split",
                "method",
                "suffix",
                "seed",
                "description",
                "prompt",
                "completion",
                "rejected",
                "system",
            )
        }
        hyper = {
            "n_epochs": job_text.number(typed.epochs),
            "batch_size": job_text.number(typed.batch_size),
            "learning_rate_multiplier": job_text.number(typed.learning_rate),
            **job_text.pairs(typed.param, "--param"),
        }
        own = {name: value for name, value in hyper.items() if value is not None}
        given = {**given, **{name: value for name, value in named.items() if value is not None}}
        given["hyperparameters"] = {**(given.get("hyperparameters") or {}), **own}
        given["metadata"] = {
            **(given.get("metadata") or {}),
            **{
                key: str(value)
                for key, value in job_text.pairs(typed.metadata, "--metadata").items()
            },
        }
        return given

    def _data(self, typed: Any, given: dict[str, Any]) -> tuple[Any, JobOptions]:
        from openai_magics.training.job import JobOptions
        from openai_magics.training.selection import Selection
        from openai_magics.training.tables import Columns

        names = ("prompt", "completion", "rejected", "system")
        columns = Columns(**{name: given.pop(name, None) for name in names})
        data = given.pop("data", None)
        chosen = JobOptions(**{**given, "columns": columns, "force": typed.force})
        chosen = replace(chosen, validation=self._value(chosen.validation))
        narrowed = typed.conversation or typed.cell or typed.sentiment or typed.all
        if typed.from_dialogue:
            if data is not None:
                raise OptionError(
                    "%train: there is data, and --from-dialogue as well.", "Give one of the two."
                )
            wanted = Selection(
                typed.conversation, tuple(typed.cell or ()), tuple(typed.sentiment or ())
            )
            source, made_in = self.session.training.from_dialogue(
                wanted, all_runs=typed.all, fresh=typed.fresh
            )
            return source, replace(chosen, made_in=made_in)
        if narrowed:
            raise OptionError(
                "%train: --conversation, --cell, --sentiment and --all choose from the dialogue.",
                "Add --from-dialogue.",
            )
        if data is None:
            raise OptionError(
                f"%train {typed.action}: which data?", "A file, a folder, or a variable."
            )
        value = self._value(data)
        return value, replace(chosen, name=str(data) if value is not data else "data")

    def _value(self, data: Any) -> Any:
        """Return a variable by its name; what is none is a path."""
        if isinstance(data, str) and data.isidentifier() and data in self.names:
            return self.names[data]
        return data
