"""Kills a tiny experiment at random moments, resumes it, and sees that nothing was harmed.

    python tests/faults.py --kills 30 --seed 0     # make faults

A workflow is several processes: Snakemake starts a papermill for each run, papermill a kernel.
Whichever is killed, and whenever: every record that exists is whole, and so are the weights that it
names; the next start of the workflow makes what is missing and nothing else; the tables are those
of an undisturbed run.
"""

import argparse
import contextlib
import random
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import psutil
from workflow import finish, numbers, records, start, write_experiment

from kanlib.experiments import load

MARK = "KANLIB_TEST"  # in the environment of all processes of a workflow, orphans too
TIMES = ("seconds", "peak_mib")  # columns that differ between equal runs
# All at once, as when the power fails; or one process, whose children or parent live on.
KINDS = ("everything", "snakemake", "papermill", "kernel")
LONGEST_WAIT = 6.0  # seconds between two kills; a run takes about as long


def tables(folder: Path) -> dict[str, str]:
    """Text of every table without times, by name; and of the main one without its times."""
    results = folder / "results"
    texts = {path.name: path.read_text() for path in results.glob("tiny_*")}
    main = pd.read_csv(results / "tiny.csv", dtype=str)
    kept = [name for name in main if not str(name).startswith(TIMES)]
    return texts | {"tiny.csv": main[kept].to_csv()}


def processes(mark: str) -> dict[str, list[psutil.Process]]:
    """The living processes of a workflow by kind; under "everything", all of them."""
    kinds: dict[str, list[psutil.Process]] = {kind: [] for kind in KINDS}
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) != mark:
                continue
            words = process.cmdline()
        except psutil.Error:  # it ended, or is another user's
            continue
        kinds["everything"].append(process)
        for kind, word in (
            ("snakemake", "snakemake"),
            ("papermill", "papermill"),
            ("kernel", "ipykernel_launcher"),
        ):
            if word in words:
                kinds[kind].append(process)
    return kinds


def runs_of(papermills: list[psutil.Process]) -> Iterator[str]:
    """Names of the runs that these processes compute."""
    for process in papermills:
        with contextlib.suppress(psutil.Error):
            words = (Path(word) for word in process.cmdline())
            yield from (word.stem for word in words if "logs" in word.parts)


@dataclass
class Victim:
    """A tiny experiment, killed again and again.

    Attributes:
        folder: its own; the output of Snakemake is collected there in workflow.txt.
        chance: draws processes and moments.
        kills: how often each kind of process was killed.
        starts: of the workflow.
        orphaned: names of runs that went on while Snakemake was dead. The next workflow cannot know
            and makes them too: their records are written twice, with equal numbers.
    """

    folder: Path
    chance: random.Random
    kills: Counter[str] = field(default_factory=Counter)
    starts: int = 0
    orphaned: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.mark = uuid.uuid4().hex
        self.turn: list[str] = []  # kinds to kill; each comes once before one comes twice
        self.whole: dict[Path, bytes] = {}
        self.experiment = write_experiment(self.folder)

    def run(self, kills: int) -> None:
        """Run to the end, killing at most ``kills`` times on the way.

        Raises:
            AssertionError: a workflow in which nothing was killed failed.
            ValueError: there was a record that was not whole.
        """
        code = None
        while code != 0:
            before = self.kills.total()
            workflow = self._start()
            while (code := workflow.poll()) is None:
                if self.kills.total() == kills:
                    code = workflow.wait()
                else:
                    self._wait(workflow)
                    self._kill()
            if code != 0 and self.kills.total() == before:
                raise AssertionError((self.folder / "workflow.txt").read_text())

    def check(self, undisturbed: Path) -> None:
        """Compare with the folder of the same experiment, run in peace.

        Raises:
            AssertionError: a table or record is not the same, or a whole record was made again.
        """
        psutil.wait_procs(processes(self.mark)["everything"], timeout=120)
        self._see_records()
        for path in records(undisturbed):
            if numbers(path) != numbers(self.folder / path.relative_to(undisturbed)):
                raise AssertionError(f"{path.name} has other numbers than in an undisturbed run")
        ours, theirs = tables(self.folder), tables(undisturbed)
        wrong = [name for name in ours.keys() | theirs.keys() if ours.get(name) != theirs.get(name)]
        if wrong:
            raise AssertionError(f"{wrong} differ from the tables of an undisturbed run")

    def _start(self) -> subprocess.Popen[str]:
        self.starts += 1
        with (self.folder / "workflow.txt").open("a") as output:
            return start(self.folder, self.experiment, "tables", output=output, **{MARK: self.mark})

    def _wait(self, workflow: subprocess.Popen[str]) -> None:
        """Until a random moment; most often one when something is computed."""
        any_time = self.chance.random() < 0.2
        while not any_time and workflow.poll() is None and not processes(self.mark)["kernel"]:
            time.sleep(0.5)
        with contextlib.suppress(subprocess.TimeoutExpired):
            workflow.wait(self.chance.uniform(0, LONGEST_WAIT))

    def _kill(self) -> None:
        """Kill what comes next in turn, if there is one."""
        self.turn = self.turn or self.chance.sample(KINDS, len(KINDS))
        alive, kind = processes(self.mark), self.turn[0]
        if not alive[kind]:
            return
        del self.turn[0]
        targets = alive[kind]
        if kind != "everything":
            targets = [self.chance.choice(targets)]
        if kind == "snakemake":
            self.orphaned |= set(runs_of(alive["papermill"]))
        for process in targets:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.kills[kind] += 1
        self._see_records()

    def _see_records(self) -> None:
        """Every record and its weights are whole; a record is as it was when it was seen first."""
        there = records(self.folder)
        for path in there:
            # A workflow removes what an orphan wrote of a run that it is about to start.
            with contextlib.suppress(FileNotFoundError):
                load(path)  # checks the weights too
        changed = [path.name for path in self.whole if there.get(path) != self.whole[path]]
        if not self.orphaned.issuperset(Path(name).stem for name in changed):
            raise AssertionError(f"{changed} were whole and yet made again")
        self.whole |= there


def torment(
    parent: Path, undisturbed: Path, kills: int, seed: int, say: Callable[[str], None] = print
) -> Counter[str]:
    """Kill ``kills`` times, at most ten times an experiment; returns how often what was killed.

    Args:
        parent: for a folder an experiment.
        undisturbed: folder of the same experiment, run in peace.
        kills: in total, >= 1.
        seed: of processes and moments.
        say: called with a line an experiment.
    """
    chance, number = random.Random(seed), 0
    killed: Counter[str] = Counter()
    while killed.total() < kills:
        number += 1
        folder = parent / f"experiment{number}"
        folder.mkdir()
        victim = Victim(folder, chance)
        victim.run(min(10, kills - killed.total()))
        victim.check(undisturbed)
        killed += victim.kills
        say(
            f"experiment {number}: killed {dict(victim.kills)}; {victim.starts} starts; "
            f"{len(victim.orphaned)} jobs orphaned; records and tables as undisturbed"
        )
    return killed


def main() -> int:
    """Command line: see above."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        parent = Path(name)
        undisturbed = parent / "undisturbed"
        undisturbed.mkdir()
        code, output = finish(undisturbed, write_experiment(undisturbed), "tables")
        if code != 0:
            print(output)
            return code
        killed = torment(parent, undisturbed, arguments.kills, arguments.seed)
    print(f"killed {dict(killed)}: no harm done; {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
