"""Training: the data and what is wrong with it, jobs and how they go, models and whence they come.

``sources`` reads data of any kind as lines of JSON, ``check`` finds what is wrong with them,
``mend`` writes a mended copy; ``submit`` uploads and starts a job, ``follow`` watches it,
``lineage`` tells what a tuned model was made of. `Training` (in ``service``) is what a session
holds of all this.
"""
