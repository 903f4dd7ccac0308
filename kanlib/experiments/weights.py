"""Trained weights as files: safetensors, which run no code when they are read."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as read_tensors
from safetensors.torch import save

from kanlib.experiments.record import Record, load_record
from kanlib.experiments.run import Run
from kanlib.models.autoencoder import Autoencoder, Shape
from kanlib.nn.grids import refine_model
from kanlib.strict import plain

_ORIGIN = "kanlib"  # the entry of the file's metadata that says where the weights come from
_CURE = "train it again: kanlib.experiments.execute(run, images).save(results_dir)"


def pack(model: Autoencoder, run: Run, shape: Shape, **more: Any) -> bytes:
    """The content of a file that holds all that ``load`` needs.

    Args:
        model: trained.
        run: that it comes from.
        shape: (C, H, W) of its images.
        more: what else to keep with it, as JSON has it.
    """
    own = {"memory_format": torch.contiguous_format}  # the format knows no weights that are shared
    tensors = {name: tensor.clone(**own) for name, tensor in model.state_dict().items()}
    # One entry: the format keeps several in an order that changes, and with it the file's hash.
    origin = {"run": run.model_dump(), "shape": shape, **more}
    return save(tensors, {_ORIGIN: json.dumps(origin, default=plain)})


def load(record: Record | str | Path) -> Autoencoder:
    """The trained model of a record, in eval mode, on the CPU.

    Args:
        record: read or saved, or its path; or the path of a file of weights (.safetensors), which
            is then taken as it is: only a record says which weights are its own.

    Raises:
        FileNotFoundError: there is no record, or its weights are not there; says what to do.
        ValueError: the file of weights is damaged, or is another than the record names; or the
            path is of neither kind of file.
    """
    if isinstance(record, Record):
        return _load_named(record)
    path = Path(record)
    if path.suffix == ".json":
        return _load_named(load_record(path))
    if path.suffix != ".safetensors":
        raise ValueError(f"record={str(path)!r} must end in .json or .safetensors")
    return unpack(path, path.read_bytes())[0]


def _load_named(record: Record) -> Autoencoder:
    """The model of a record, if the weights are those that it names."""
    if not has_weights(record) or record.weights is None:
        raise FileNotFoundError(f"the weights of {record.path} are not there; {_CURE}")
    path = record.path.with_name(record.weights.file)
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != record.weights.sha256:
        raise ValueError(f"{path} is not the file that {record.path} names; {_CURE}")
    return unpack(path, content)[0]


def unpack(path: Path, content: bytes) -> tuple[Autoencoder, dict[str, Any]]:
    """The model in a file that ``pack`` made, in eval mode, and all that is kept with it.

    Args:
        path: of the file, for messages.
        content: of the file; it runs no code, and its sizes are checked before memory is taken.

    Raises:
        ValueError: the file is damaged, or of another kind.
    """
    try:
        tensors = read_tensors(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        origin = json.loads(header["__metadata__"][_ORIGIN])
        run = Run(**origin["run"])
        channels, height, width = origin["shape"]
        shape = (channels, height, width)
        with torch.device("meta"):  # a file may claim any size: nothing is allocated
            sizes = {name: value.shape for name, value in _build(run, shape).named_parameters()}
        if wrong := [name for name, size in sizes.items() if tensors[name].shape != size]:
            raise ValueError(f"{wrong[0]} must have the shape {tuple(sizes[wrong[0]])}")
        model = _build(run, shape).to(tensors[next(iter(sizes))].dtype)
        # Files of before name no basis: their run does.
        named = {name: of for name, of in model.state_dict().items() if "_extra_state" in name}
        model.load_state_dict(named | tensors)
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{path} does not hold the weights of a run: {error}; {_CURE}") from error
    return model.eval(), origin


def _build(run: Run, shape: Shape) -> Autoencoder:
    """A model with the grids that it has after the training."""
    model = run.build_model(shape)
    if run.refine:
        refine_model(model, run.refine)
    return model


def has_weights(record: Record) -> bool:
    """Whether the weights that a record names are there."""
    return record.weights is not None and record.path.with_name(record.weights.file).exists()
