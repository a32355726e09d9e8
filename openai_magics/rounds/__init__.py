"""An ask that takes several exchanges: an answer does not fit its schema and is asked for again.

`script` says which exchange comes next; `play` carries it out, blocking or not; `steps` are
what the cell shows of the exchanges before the last one.
"""
