"""Speed and memory of the KAN layer against its competitors: ``python -m benchmarks --help``.

``cases`` says what is measured, ``competitors`` who computes it, ``work`` what is timed.
``measure`` asks one ``worker`` process a competitor, in turn; ``startup`` measures what a run costs
beside its work. ``rows`` are the result files. ``report``, ``targets`` and ``figures`` are made of
them.
"""
