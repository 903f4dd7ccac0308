"""What is measured, at which size and between whom: the cases of each benchmark."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec

SHAPES = ((784, 9), (784, 34), (784, 150), (784, 784), (3072, 64), (3072, 500), (500, 3072))
MODELS = ((784, 34), (784, 150), (3072, 500))
CNN_MODELS = ((784, 9), (784, 18), (3072, 32), (3072, 64))  # the code sizes of the paper's CNNs
BATCH = 64
# pykan keeps several tensors of batch x in x out numbers: at batch 64, 160 MB each at this size.
LARGEST_PYKAN = 784 * 784


@dataclass(frozen=True)
class Competitor:
    """Someone who computes the same kind of thing.

    Args:
        name: key of ``competitors.LAYERS`` or ``competitors.MODELS``.
        fast: with all that ``kanlib.training.cpu`` offers; False: PyTorch as it is installed.
    """

    name: str
    fast: bool = False


@dataclass(frozen=True)
class Case:
    """One measurement, taken of all its competitors in turn.

    Args:
        what: key of ``work.WORK``.
        in_features: I of a layer, or pixels of an image.
        out_features: O of a layer, or code size of an autoencoder.
        batch: rows, or images a step.
        competitors: who is measured, in this order.
        grid_size: G.
        spline_order: k.
    """

    what: str
    in_features: int
    out_features: int
    batch: int
    competitors: tuple[Competitor, ...]
    grid_size: int = 5
    spline_order: int = 3

    @property
    def shape(self) -> str:
        """As in the result files: 784-34."""
        return f"{self.in_features}-{self.out_features}"

    def competitors_on(self, device: str) -> list[Competitor]:
        """Who can be measured there: ``fast`` is for the CPU, and pykan may not be installed."""
        return [
            c
            for c in self.competitors
            if (device == "cpu" or not c.fast) and (c.name != "pykan" or has_pykan())
        ]


def has_pykan() -> bool:
    """Whether pykan, an optional dependency, is installed."""
    return find_spec("kan") is not None


def both(name: str) -> tuple[Competitor, Competitor]:
    """As installed, and fast."""
    return Competitor(name), Competitor(name, fast=True)


KAN, KEPT, LIMITS = both("KANLinear"), both("KANLinear, scale kept"), both("dense limit")
AUTHORS, RECURSION, FAST_RECURSION = Competitor("authors"), *both("recursion")
MLP, CNN = Competitor("MLP"), Competitor("CNN", fast=True)
PYKAN, SPARSE, FASTKAN = Competitor("pykan"), Competitor("sparse"), Competitor("FastKAN")
NODES = (*both("MLP, SiLU"), *both("shared KAN"))


def layers() -> list[Case]:
    """Forward + backward of one layer, as the first of a network and inside it."""
    shared = Competitor("shared functions")
    everyone = (RECURSION, *KAN, *KEPT, *LIMITS, MLP, shared, FASTKAN, PYKAN, FAST_RECURSION)
    # The scale costs a pass over the weight at any batch: once is enough.
    fewer = (RECURSION, *KAN, LIMITS[1], MLP)
    cases: list[Case] = []
    for in_features, out_features in SHAPES:
        for batch in (BATCH, 1024):
            competitors = everyone if batch == BATCH else fewer
            if in_features * out_features > LARGEST_PYKAN:
                competitors = tuple(c for c in competitors if c != PYKAN)
            cases += [
                Case(what, in_features, out_features, batch, competitors)
                for what in ("first layer", "inner layer")
            ]
    return cases


def models() -> list[Case]:
    """The paper's autoencoder: a training step, a tenth of an epoch of MNIST, inference."""
    trained = (AUTHORS, FAST_RECURSION, *KAN, *KEPT, *LIMITS, MLP)
    run = (RECURSION, *KAN, *KEPT, MLP)
    cases: list[Case] = []
    for shape in MODELS:
        cases.append(Case("step", *shape, BATCH, trained))
        cases.append(Case("inference", *shape, 1024, run))
        if shape[0] == 784:
            cases.append(Case("epoch", *shape, BATCH, (AUTHORS, *KAN, KEPT[1], *LIMITS, MLP)))
    cases += [Case("step", *shape, BATCH, (AUTHORS, KEPT[1], CNN, MLP)) for shape in CNN_MODELS]
    return cases


def nodes() -> list[Case]:
    """A training step with learned functions on hidden nodes, beside the same network with SiLU.

    The second number of the shape is the hidden width; the code has 9 numbers.
    """
    return [
        Case("step", 784, hidden, batch, NODES) for hidden in (256, 1024) for batch in (64, 256)
    ]


def memory() -> list[Case]:
    """Peak memory of a training step."""
    trained = (AUTHORS, FAST_RECURSION, *KAN, *KEPT, MLP)
    shared = [case for case in nodes() if case.batch == BATCH]
    return [Case("step", *shape, BATCH, trained) for shape in MODELS] + shared


def peak_memory() -> list[Case]:
    """Peak memory of all that is done with a model of large images: 224 x 224, three channels."""
    kinds = ("training step", "test error", "evaluation", "coverage", "pictures")
    return [Case(what, 224 * 224 * 3, 16, 16, (Competitor("pure KAN"),)) for what in kinds]


def growth(competitors: tuple[Competitor, ...]) -> list[Case]:
    """One layer of two widths, on finer and finer grids."""
    return [
        Case("inner layer", 784, width, BATCH, competitors, grid_size)
        for width in (34, 784)
        for grid_size in (5, 20, 100)
    ]


BENCHMARKS: dict[str, list[Case]] = {
    "layers": layers(),
    "models": models(),
    "nodes": nodes(),
    "memory": memory(),
    "peak_memory": peak_memory(),
    "growth": growth((RECURSION, *KAN, SPARSE, LIMITS[0])),
    "growth_memory": growth((RECURSION, KAN[0], SPARSE)),
}


def shrunk(cases: Sequence[Case]) -> list[Case]:
    """Cases of the same kinds and competitors that take milliseconds; no results."""
    found: dict[Case, dict[Competitor, None]] = {}
    for case in cases:
        grid_size = min(case.grid_size, 10)
        small = Case(case.what, 784, 4, 8, (), grid_size, case.spline_order)
        found.setdefault(small, {}).update(dict.fromkeys(case.competitors))
    return [replace(case, competitors=tuple(everyone)) for case, everyone in found.items()]
