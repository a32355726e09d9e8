"""An ask that takes several exchanges: tools are run, an answer that does not fit is asked for again.

`script` says which exchange comes next; `play` carries it out, blocking or not; `steps` are
what the cell shows of the exchanges before the last one.
"""
