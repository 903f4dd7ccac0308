"""Loss and gradient norm over the steps of a training: does it run smoothly?

``kanlib.training.train`` calls it at each step.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from kanlib.bases import check_sizes

EVERY = 10  # steps between two entries, unless said otherwise


class StepLog:
    """Loss and gradient of the steps of ``train``, to be passed as its ``on_step``.

    Args:
        every: steps between two entries, >= 1; the first step has one.

    Raises:
        ValueError: ``every`` is no integer >= 1.
    """

    def __init__(self, every: int = EVERY) -> None:
        check_sizes("StepLog", every=every)
        self.every = every
        self._steps = 0
        # One block: a tensor kept at each step would part the memory that the next step takes
        # again, until gigabytes lie in pieces.
        self._entries: torch.Tensor | None = None  # (2, capacity)

    def __call__(self, model: nn.Module, loss: torch.Tensor) -> None:
        """Note the step that was just computed."""
        entry, rest = divmod(self._steps, self.every)
        self._steps += 1
        if rest:
            return
        if self._entries is None:
            self._entries = loss.new_empty(2, 1024)
        elif entry == self._entries.shape[1]:
            self._entries = torch.cat([self._entries, torch.empty_like(self._entries)], dim=1)
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        self._entries[0, entry] = loss
        self._entries[1, entry] = nn.utils.get_total_norm(gradients)

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """``step_loss`` and ``gradient_norm`` (Euclidean, of all parameters together), (entries,).

        Empty without steps.
        """
        if self._entries is None:
            return {}
        loss, norm = self._entries[:, : -(-self._steps // self.every)].cpu().numpy()
        return {"step_loss": loss, "gradient_norm": norm}
