"""Images: what a notebook can name as one, how it is read, sized, encoded, compared and recorded.

`source` names them, `places` and `download` find them, `sniff` and `decode` read them, `pixels`
and `drawn` tell arrays and figures, `vision` knows how large models see, `prepare` makes what
is sent, `likeness` compares.
"""
