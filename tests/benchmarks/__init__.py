"""Benchmarks: what an ask, a chunk, a record and a replay cost, beside a floor of the same run.

``python -m tests.benchmarks`` measures all figures, ``python -m tests.benchmarks ask open`` some.
Each figure is the median of ratios of pairs, *ours* next to its *floor*, so that it holds on a
machine that is busy or slow; no test asserts a time, and pytest collects nothing here.
"""
