"""Speed and memory against competitors, measured in one run: ``python -m benchmarks --help``.

``plans`` says which cases are measured, ``cases`` what a case is, ``competitors`` between whom,
``work`` what is timed; ``measure`` asks one ``worker`` process a competitor, in turn; ``rows`` are
the result files, ``report``, ``targets`` and ``drawing`` what is made of them.
"""
