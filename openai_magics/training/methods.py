"""The training side of a session: `Session` is one of these. The rooms come in at first use."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openai_magics.twins import twin

if TYPE_CHECKING:
    import pandas as pd

    from openai_magics.client import Live
    from openai_magics.config import Settings
    from openai_magics.training.check import Check
    from openai_magics.training.service import Training
    from openai_magics.turns import Turns
    from openai_magics.views import Dialogue

__all__ = ["TrainingMethods"]


class TrainingMethods:
    """What a session does with training data and jobs; all else is in its `training`."""

    settings: Settings
    live: Live
    turns: Turns
    dialogue: Dialogue
    _training: Training | None = None

    @property
    def training(self) -> Training:
        """Check data; start, watch, stop and list jobs (`openai_magics.training.service`)."""
        if self._training is None:
            from openai_magics.training.service import Training

            self._training = Training(self.settings, self.live, self.turns, self.dialogue)
        return self._training

    @property
    def current_job_id(self) -> str | None:
        """The job that was started last, or that was set."""
        return self._training.current if self._training is not None else None

    @current_job_id.setter
    def current_job_id(self, job_id: str | None) -> None:
        self.training.current = job_id

    def check_training(
        self,
        data: Any,
        *,
        validation: Any = None,
        split: float | None = None,
        method: str | None = None,
        model: str | None = None,
        prompt: str | None = None,
        completion: str | None = None,
        rejected: str | None = None,
        system: str | None = None,
    ) -> Check:
        """Find what is wrong with training data; nothing is sent.

        Parameters
        ----------
        data : path, DataFrame or iterable
            A file (``.jsonl``, ``.json``, ``.csv``, ``.tsv``, ``.parquet``), a folder of such
            files, a DataFrame, or a list of examples, of rows or of (prompt, completion) pairs.
        validation : as *data*, optional
            What is held out: it must not share examples with *data*.
        split : float, optional
            Hold out this part of *data* in place of that.
        method : {"supervised", "dpo", "reinforcement"}, optional
            What the data is for; by default what its format tells.
        model : str, optional
            Whose limits hold; by default the model of the session.
        prompt, completion, rejected : str, optional
            Columns of a table: what is asked, the (better) answer, the worse one (dpo).
        system : str, optional
            A system instruction for every row of a table.

        Returns
        -------
        Check
            ``.problems`` is a DataFrame with a row a problem (``file, line, column, severity,
            problem, remedy``), ``.summary`` the counts, tokens, epochs and price, ``.ok``
            whether there is no error.

        Raises
        ------
        OptionError
            The data cannot be read, or an argument is not possible.
        """
        from openai_magics.training.job import JobOptions
        from openai_magics.training.tables import Columns

        columns = Columns(prompt, completion, rejected, system)
        options = JobOptions(
            model=model, validation=validation, split=split, method=method, columns=columns
        )
        return self.training.check(data, options)

    def train(
        self,
        data: Any,
        *,
        model: str | None = None,
        validation: Any = None,
        split: float | None = None,
        method: str | None = None,
        hyperparameters: Mapping[str, Any] | None = None,
        suffix: str | None = None,
        seed: int | None = None,
        metadata: Mapping[str, str] | None = None,
        grader: Mapping[str, Any] | None = None,
        description: str | None = None,
        prompt: str | None = None,
        completion: str | None = None,
        rejected: str | None = None,
        system: str | None = None,
        force: bool = False,
        fresh: bool = False,
        mode: str | None = None,
    ) -> str:
        """Check data, upload it, start a fine-tuning job, and return its id.

        The job is recorded in the dialogue file and kept in ``job_ids.json`` beside it, and is
        then ``current_job_id``. A file that the service has already is not uploaded again, and
        a job whose answer was lost is not submitted again.

        Parameters
        ----------
        data, validation, split, method, prompt, completion, rejected, system
            As in `check_training`.
        model : str, optional
            The model to tune.
        hyperparameters : mapping, optional
            ``n_epochs`` (1 to 50), ``batch_size`` (1 to 256), ``learning_rate_multiplier``,
            ``beta`` (dpo), …; each may be ``"auto"``, as it is by default.
        suffix : str, optional
            Part of the tuned model's name.
        seed : int, optional
            The same seed and data give the same model, as far as the service can.
        metadata : mapping of str to str, optional
            Kept with the job at the service.
        grader : mapping, optional
            For reinforcement, in the shape of the API.
        description : str, optional
            Kept in ``job_ids.json``.
        force : bool
            Start although the data has errors.
        fresh : bool
            Start another job where this one is recorded already (not in ``replay`` mode).

        Raises
        ------
        OptionError
            The data has errors or cannot be read, or an argument is not possible.
        AccessRefused
            The service takes no such jobs (any more).
        ReplayMiss, NotConnected, ServiceError, DialogueError, Interrupted
            As `ask`.
        """
        from openai_magics.training.job import JobOptions
        from openai_magics.training.tables import Columns

        options = JobOptions(
            model=model,
            validation=validation,
            split=split,
            method=method,
            hyperparameters=hyperparameters or {},
            suffix=suffix,
            seed=seed,
            metadata=metadata or {},
            grader=grader,
            description=description,
            columns=Columns(prompt, completion, rejected, system),
            force=force,
        )
        return self.training.start(data, options, fresh=fresh, mode=mode).id

    atrain = twin(train)

    def save_job_id(
        self, job_id: str, description: str, filename: str | Path = "job_ids.json"
    ) -> None:
        """Keep a job with a description in a file beside the notebook.

        Raises
        ------
        JobsFileError
            The file is damaged (it is not written over), or cannot be written.
        """
        self.training.file(filename).keep(job_id, description, {})

    def list_jobs(self, *, fresh: bool = False, mode: str | None = None) -> pd.DataFrame:
        """Return the fine-tuning jobs of the endpoint, newest first.

        Columns: ``id, status, description, model, fine_tuned_model, created, finished,
        trained_tokens, error``. The listing is recorded; while a job in it has not ended it is
        asked for anew, as with *fresh*.

        Raises
        ------
        ReplayMiss, NotConnected, ServiceError, DialogueError
            As `ask`.
        """
        return self.training.jobs(fresh=fresh, mode=mode)

    alist_jobs = twin(list_jobs)

    def job(
        self, job_id: str | None = None, *, fresh: bool = False, mode: str | None = None
    ) -> dict[str, Any]:
        """Return a fine-tuning job as the API shows it; by default the current one.

        Raises
        ------
        ModelNotFound
            The service knows none of this id; the nearest is named.
        ReplayMiss, NotConnected, ServiceError, DialogueError
            As `ask`.
        """
        found: dict[str, Any] = self.training.job(job_id, fresh=fresh, mode=mode)
        return found

    ajob = twin(job)
