# From experiments/<name>.yaml to its tables and figures: one papermill job a run, then a notebook
# for the tables and one for the figures.
#
#   snakemake --profile profiles/local --config experiment=mnist
#
# --config also takes results=DIR, figures=DIR, fast_cpu=false and compiled=true (see
# kanlib/training/cpu.py), and logs=DIR: workflows side by side in one clone need a folder each.
# A record is never made twice: its own commit is written in it. Delete it to have it made again.
import json
import os
import shlex
import sys
import textwrap

from kanlib.experiments import find_experiment, load_experiment, to_yaml
from kanlib.experiments.check import main
from kanlib.report.outputs import outputs
from kanlib.training.cpu import MALLOC


def switch(name, default):
    """A setting that is true or false: Snakemake takes "false" for a word."""
    value = str(config.get(name, default)).lower()
    if value not in ("true", "false"):
        raise WorkflowError(f"--config {name}={config[name]} must be true or false")
    return value == "true"


RESULTS = str(config.get("results", "results"))
FIGURES = str(config.get("figures", "figures"))
PYTHON = shlex.quote(sys.executable)
LOGS = str(config.get("logs", "build/notebooks"))
FAST_CPU, COMPILED = switch("fast_cpu", True), switch("compiled", False)
EXPERIMENT = find_experiment(str(config.get("experiment", "digits")))
PLAN = load_experiment(EXPERIMENT)
FILES = [str(EXPERIMENT)] + [str(find_experiment(name)) for name in PLAN.also]
PLANS = [PLAN] + [load_experiment(file) for file in FILES[1:]]
RUNS = {str(run.path(RESULTS)): run for plan in PLANS for run in plan.runs()}
ARRAYS = [str(Path(record).with_suffix(".npz")) for record in RUNS]
MADE = outputs(PLAN, EXPERIMENT.stem)
TABLES = [f"{RESULTS}/{stem}.{ending}" for stem in MADE[0] for ending in ("csv", "md", "tex")]
PICTURES = [f"{FIGURES}/{stem}.{ending}" for stem in MADE[1] for ending in ("png", "pdf")]
# Tables and figures depend on the library; a change there makes them anew.
LIBRARY = sorted(map(str, Path("kanlib").rglob("*.py")))

# One thread a job: two small jobs side by side beat one job of two threads.
PAPERMILL = (
    "log={log:q}; run() {{ env -u JUPYTER_PATH JUPYTER_PREFER_ENV_PATH=1"  # this environment's kernel
    " TQDM_DISABLE=1 OMP_NUM_THREADS={threads} MKL_NUM_THREADS={threads}"
    + "".join(f" {name}={value}" for name, value in MALLOC.items())
    + f" {PYTHON} -m papermill --no-progress-bar --log-output -k python3"
    " {input.notebook} \"${{log%.txt}}.ipynb\" -y {params.yaml:q} > \"$log\" 2>&1; }};"
    # Two kernels that start at once may draw the same ports; one of them then never answers.
    " run || {{ grep -qE \"Kernel died before replying|Kernel didn't respond\" \"$log\" && run; }}"
    # The error itself is at the end of papermill's log, below the traceback.
    " || {{ grep -E '^[A-Za-z.]+(Error|Exception|Diverged): ' \"$log\" | tail -n 1"
    " | sed 's/Kernel died$/& (killed; most often for lack of memory: run fewer at a time)/'"
    " >&2; exit 1; }}"
)


def run_parameters(wildcards, output):
    """The YAML that papermill passes to the training notebook."""
    # Only what is set: a parameter that is new must not make old runs again.
    settings = RUNS[output.record].model_dump(exclude_defaults=True)
    settings |= {"results_dir": RESULTS, "fast_cpu": FAST_CPU, "compiled": COMPILED}
    return to_yaml(settings)


onstart:
    for folder in (RESULTS, FIGURES):
        if Path(folder).exists() and not os.access(folder, os.W_OK):
            raise WorkflowError(f"{folder} is read-only; name others: results=DIR figures=DIR")
    # Data are found or downloaded, decoded and checked once, and all runs that lack a record.
    if main([*FILES, "--results", RESULTS]) != 0:
        raise WorkflowError("nothing was run")


onsuccess:
    errors = Path(f"{RESULTS}/{EXPERIMENT.stem}_mse.md")
    if str(errors.with_suffix(".csv")) in TABLES and errors.exists():
        print(f"\n{PLAN.heading}: test error by code size\n\n{errors.read_text()}")
        print("\n".join(textwrap.wrap(PLAN.about, 100)), end="\n\n")
    for title, ending, paths, also in (
        ("Tables: ", ".csv", TABLES, ".md, .tex"), ("Figures:", ".png", PICTURES, ".pdf")
    ):
        there = [path for path in paths if path.endswith(ending) and Path(path).exists()]
        if there:
            print(title, *there, f"(also {also})")
    print("Read next: README.md and docs/findings.md, or open the notebooks by `make lab`")


rule all:
    # The records too: a table that is there does not excuse a record that is not.
    input: RUNS, ARRAYS, TABLES, PICTURES
    message: "tables and figures of {EXPERIMENT} are up to date"


rule records:
    input: RUNS, ARRAYS
    message: "records of {EXPERIMENT} are there"


rule run:
    input: notebook=ancient("notebooks/02_train_autoencoder.ipynb")
    output:
        record=RESULTS + "/runs/{dataset}/{model}/{run}.json",
        arrays=RESULTS + "/runs/{dataset}/{model}/{run}.npz",
    params: yaml=run_parameters
    log: LOGS + "/{dataset}/{model}/{run}.txt"
    threads: 1
    message: "run {wildcards.dataset} {wildcards.model} {wildcards.run}"
    shell: PAPERMILL


READ = {"experiment": str(EXPERIMENT), "results_dir": RESULTS}
DRAW = READ | {"figures_dir": FIGURES}

if PLAN.notebook:

    rule study:
        input: EXPERIMENT, RUNS, ARRAYS, LIBRARY, notebook=PLAN.notebook
        output: TABLES, PICTURES
        params: yaml=json.dumps(DRAW)
        log: f"{LOGS}/{EXPERIMENT.stem}.txt"
        message: "table and figure of {EXPERIMENT}"
        shell: PAPERMILL

else:

    rule tables:
        input: EXPERIMENT, RUNS, LIBRARY, notebook="notebooks/03_tables.ipynb"
        output: TABLES
        params: yaml=json.dumps(READ)
        log: f"{LOGS}/{EXPERIMENT.stem}_tables.txt"
        message: "tables of {EXPERIMENT}"
        shell: PAPERMILL

    rule figures:
        input: EXPERIMENT, RUNS, ARRAYS, LIBRARY, notebook="notebooks/04_figures.ipynb"
        output: PICTURES
        params: yaml=json.dumps(DRAW)
        log: f"{LOGS}/{EXPERIMENT.stem}_figures.txt"
        message: "figures of {EXPERIMENT}"
        shell: PAPERMILL
