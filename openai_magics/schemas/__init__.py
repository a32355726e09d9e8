"""Structured answers: the shape that is wanted, what is sent of it, and whether an answer has it.

`shape` reads what a person gives (a class, a JSON schema, a file); `strict` makes of its
schema what strict mode takes, or says why it cannot; `plain` keeps the schema of a class the
same across versions of pydantic, since it is part of fingerprints.
"""
