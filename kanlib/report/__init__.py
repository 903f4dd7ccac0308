"""From records to tables, figures and verdicts; its modules are imported by name.

- ``statistics``: means, intervals and comparisons over seeds.
- ``claims``: the paper's claims, judged.
- ``sensitivity``, ``stability``: what a result depends on, and how it varies.
- ``published``: the paper's own numbers.
- ``tables``, ``figures``: files for readers.
"""
