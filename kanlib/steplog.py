"""Loss and gradient norm over the steps of a training: does it run smoothly?

``kanlib.training.train`` calls it at each step.
"""

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from kanlib.bases import check_sizes


@dataclass
class StepLog:
    """Loss and gradient of the steps of ``train``, to be passed as its ``on_step``.

    Args:
        every: steps between two entries, >= 1.

    Raises:
        ValueError: ``every`` is no integer >= 1.

    Attributes:
        losses: of every ``every``-th step, the first included: tensors ().
        gradient_norms: Euclidean norms of the gradients of all parameters at the same steps.
    """

    every: int = 10
    losses: list[torch.Tensor] = field(default_factory=list)
    gradient_norms: list[torch.Tensor] = field(default_factory=list)
    _steps: int = 0

    def __post_init__(self) -> None:
        check_sizes("StepLog", every=self.every)

    def __call__(self, model: nn.Module, loss: torch.Tensor) -> None:
        """Note the step that was just computed."""
        if self._steps % self.every == 0:
            gradients = [p.grad for p in model.parameters() if p.grad is not None]
            self.losses.append(loss)
            self.gradient_norms.append(nn.utils.get_total_norm(gradients))
        self._steps += 1

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        """``step_loss`` and ``gradient_norm``, (entries,) each; none without steps."""
        if not self.losses:
            return {}
        return {
            "step_loss": torch.stack(self.losses).cpu().numpy(),
            "gradient_norm": torch.stack(self.gradient_norms).cpu().numpy(),
        }
