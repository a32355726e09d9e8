"""Functions of the notebook as tools of the model: what it is told of them, and how they are run.

`describe` makes a tool of a function: a JSON schema from its signature and its docstring, and
the check of the arguments; `limit` runs it within a time; `toolbox` runs the calls of an
answer and gives their results, errors among them, back to the model.
"""
