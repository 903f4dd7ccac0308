"""From records to tables, figures and verdicts; its modules are imported by name.

- ``columns``, ``labels``: which model a row is of, and what readers call it.
- ``statistics``: means over seeds, and the one comparison of two models.
- ``claims``: the paper's claims, judged.
- ``sensitivity``, ``stability``: what a result depends on, and how it varies.
- ``timing``: what models cost, measured once.
- ``published``: the paper's own numbers.
- ``tables``, ``figures``: files for readers; ``outputs``: which of them each notebook writes.
"""

import kanlib.extras  # noqa: F401
