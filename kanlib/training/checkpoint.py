"""The state of a training after each epoch, in a file, so that one that was cut off can go on."""

import hashlib
import pickle
import signal
import sys
import threading
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from kanlib.data.images import Images
from kanlib.files import atomic_file
from kanlib.models.autoencoder import Autoencoder
from kanlib.training.cpu import device_name, passes_of

_FORMAT = 1
State = dict[
    str, Any
]  # of tensors, numbers, texts, lists and such dicts: no code is run to read it


class Checkpoint:
    """A file that holds the state of one training, and no other's.

    Args:
        path: of the file; folders are made.
        training: what fixes the numbers of the training, by name.

    Raises:
        OSError: there is no such folder, and it could not be made.
    """

    def __init__(self, path: str | Path, training: Mapping[str, Any]) -> None:
        self.path = Path(path)
        self.training = {"format": _FORMAT, **training}
        self.path.parent.mkdir(parents=True, exist_ok=True)

    def load(self) -> State | None:
        """What was saved last; None: nothing.

        Raises:
            ValueError: the file is damaged, or is of another training; names what differs.
        """
        if not self.path.exists():
            return None
        try:
            with zipfile.ZipFile(self.path) as file:  # torch does not look at the checksums
                if damaged := file.testzip():
                    raise zipfile.BadZipFile(f"{damaged} has another checksum")
            kept = torch.load(self.path, map_location="cpu", weights_only=True)
            of, state = kept["training"], kept["state"]
        except (
            zipfile.BadZipFile,
            pickle.UnpicklingError,
            RuntimeError,
            EOFError,
            KeyError,
            TypeError,
        ) as error:
            raise ValueError(
                f"{self.path} is damaged: {error}; delete it to train from the start"
            ) from error
        names = [n for n in self.training | of if self.training.get(n) != of.get(n)]
        if names:
            wrong = "; ".join(f"{n} was {of.get(n)}, now {self.training.get(n)}" for n in names)
            raise ValueError(
                f"{self.path} is of another training ({wrong}); delete it to train from the start"
            )
        return state

    def save(self, state: State) -> None:
        """Replace what was saved; where that fails, it stays, and a warning says so."""
        try:
            with atomic_file(self.path) as temporary, temporary.open("wb") as file:
                # Torch takes a full disk for a fault of its own where it opens the file itself.
                torch.save({"training": self.training, "state": state}, file)
        except OSError as error:
            warnings.warn(f"the state of the training was not saved: {error}", stacklevel=2)

    def remove(self) -> None:
        """Once the training has no more use for it."""
        self.path.unlink(missing_ok=True)

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Whatever ends the block early also says how to go on, SIGTERM included."""
        before = signal.getsignal(signal.SIGTERM)
        # Only the main thread takes signals; and whoever has a handler knows why.
        ours = threading.current_thread() is threading.main_thread() and before == signal.SIG_DFL
        if ours:
            signal.signal(signal.SIGTERM, self._end)
        try:
            yield
        except BaseException as error:  # a key of the user's and a lost GPU, too
            if self.path.exists():
                error.add_note(self._advice)
            raise
        finally:
            if ours:
                signal.signal(signal.SIGTERM, before)

    @property
    def _advice(self) -> str:
        return f"{self.path} holds the state after the last epoch: the same call goes on from it"

    def _end(self, number: int, _: FrameType | None) -> None:
        """End as a process does that takes no signals, but with a line to go on by."""
        if self.path.exists():
            print(self._advice, file=sys.stderr, flush=True)
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)


def training_of(model: Autoencoder, images: Images, compiled: bool, **more: Any) -> dict[str, Any]:
    """All that the numbers of a training depend on, in words and hashes.

    Args:
        model: as it is before the first step.
        images: that are trained on and watched.
        compiled: as ``train`` has it.
        more: settings that are known by name.
    """
    weights = hashlib.sha256(repr(model).encode())
    for name, tensor in model.state_dict().items():
        weights.update(name.encode())
        weights.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    code = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        code.update(path.read_bytes())
    return more | {
        "first weights": weights.hexdigest()[:12],
        "images": images.fingerprint[:12],
        "code of kanlib": code.hexdigest()[:12],
        "torch": str(torch.__version__),
        "device": device_name(images.train.images.device),
        "threads": torch.get_num_threads(),
        "products": torch.get_float32_matmul_precision(),
        "passes": passes_of(compiled),
    }
