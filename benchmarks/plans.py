"""Which cases each benchmark measures, and how long that takes."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from benchmarks.cases import Case, Competitor, both, on_device
from benchmarks.measure import PAUSE, ROUND_SECONDS
from benchmarks.work import PART

SHAPES = ((784, 9), (784, 34), (784, 150), (784, 784), (3072, 64), (3072, 500), (500, 3072))
MODELS = ((784, 34), (784, 150), (3072, 500))
SMALL_MODELS = ((784, 9), (784, 18), (3072, 32), (3072, 64))
BATCH = 64

KAN = both("KANLinear")
KEPT = both("KANLinear, scale kept")
AUTHORS, RECURSION, FAST_RECURSION = Competitor("authors"), *both("recursion")
MLP, CNN = Competitor("MLP"), Competitor("CNN", fast=True)
PYKAN, SPARSE = Competitor("pykan"), Competitor("sparse")
LIMITS = both("dense limit")
# pykan keeps several tensors of batch x in x out numbers: at batch 64, 160 MB each at this size.
LARGEST_PYKAN = 784 * 784


def layers() -> list[Case]:
    """Forward + backward of one layer, as the first of a network and inside it."""
    everyone = (RECURSION, *KAN, *KEPT, *LIMITS, MLP, PYKAN, FAST_RECURSION)
    # The scale costs a pass over the weight at any batch: once is enough.
    fewer = (RECURSION, *KAN, LIMITS[1], MLP)
    cases: list[Case] = []
    for in_features, out_features in SHAPES:
        for batch in (64, 256, 1024):
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
    # The sizes of the paper's CNNs.
    cases += [Case("step", *shape, BATCH, (AUTHORS, KEPT[1], CNN, MLP)) for shape in SMALL_MODELS]
    return cases


def memory() -> list[Case]:
    """Peak memory of a training step."""
    trained = (AUTHORS, FAST_RECURSION, *KAN, *KEPT, MLP)
    return [Case("step", *shape, BATCH, trained) for shape in MODELS]


def growth() -> list[Case]:
    """One layer, one thing varied at a time: grid size at three widths, order, batch, width."""
    competitors = (RECURSION, *KAN, SPARSE, LIMITS[0])
    start = Case("inner layer", 784, 150, BATCH, competitors)
    cases = [
        replace(start, out_features=width, grid_size=grid_size)
        for width in (34, 150, 784)
        for grid_size in (3, 5, 10, 20, 50, 100)
    ]
    cases += [replace(start, spline_order=order) for order in range(1, 6)]
    cases += [replace(start, batch=batch) for batch in (16, 64, 256, 1024)]
    cases += [replace(start, out_features=width) for width in (9, 34, 150, 784)]
    # Each once, one shape after the other: a shape has processes of its own.
    return sorted(dict.fromkeys(cases), key=lambda case: case.out_features)


def growth_memory() -> list[Case]:
    """The same layers; the limit and the settings are no news there."""
    few = (RECURSION, KAN[0], SPARSE)
    return [replace(case, competitors=few) for case in growth()]


def quick(cases: Sequence[Case]) -> list[Case]:
    """Cases of the same kinds that take milliseconds, to try the machinery out; no results."""
    small = [
        replace(
            case,
            in_features=16,
            out_features=4 if case.out_features < 784 else 8,
            batch=min(case.batch // 8, 16),
            grid_size=min(case.grid_size, 10),
        )
        for case in cases
    ]
    different = {replace(case, competitors=()): case for case in reversed(small)}  # keeps the first
    return sorted(different.values(), key=lambda case: case.out_features)


# For the estimate: products of N x (1 + M) I x O numbers in a call, and seconds for each of its
# N x I inputs beside the products (2 cores of 2023).
_PRODUCTS = {"first layer": 2, "inner layer": 3, "step": 6, "inference": 2, "epoch": 6}
_COMPILING = 8.0  # seconds, with the settings, where nothing is compiled yet
_PER_INPUT = {"recursion": 2e-7, "authors": 3e-7, "sparse": 2e-7, "dense limit": 0, "MLP": 0}


def estimate(cases: Sequence[Case], rounds: int, device: str) -> float:
    """Seconds that ``time_cases`` takes, roughly."""
    pairs = [(case, c) for case in cases for c in on_device(case.competitors, device)]
    seconds = 1.5 * len({(case.shape, competitor) for case, competitor in pairs})  # to start
    for case, competitor in pairs:
        call = _call_seconds(case, competitor)
        seconds += rounds * (PAUSE + max(call, 1.2 * ROUND_SECONDS)) + 3 * call
        seconds += _COMPILING * competitor.fast
    return seconds


def _call_seconds(case: Case, competitor: Competitor) -> float:
    steps = PART if case.what == "epoch" else 1
    inputs = steps * case.batch * case.in_features
    edges = inputs * case.out_features
    if competitor.name == "pykan":
        return 5e-9 * edges
    features = 1 if competitor.name == "MLP" else 1 + case.grid_size + case.spline_order
    products = 2 * _PRODUCTS[case.what] * features * edges
    speed = 2.5e11 if competitor.fast else 1.2e11  # floating-point operations a second
    return products / speed + inputs * _PER_INPUT.get(competitor.name, 4e-8)


PLANS: dict[str, Callable[[], list[Case]]] = {
    "layers": layers,
    "models": models,
    "memory": memory,
    "growth": growth,
    "growth_memory": growth_memory,
}
