# The plan of the study and the functions that look names up in it. Everything else is wiring.
import os
from functools import cache
from pathlib import Path

from decar.benchmark.contenders import network_contenders, num_trainings, unavailable
from decar.benchmark.parts import benchmark_folder, gpus_per_part, parts_of
from decar.config_file import load_study
from decar.figures.catalogue import GROWTH, figure_names, table_names
from decar.planning.frozen import load_plan
from decar.predictions import kind_of
from decar.training.launch import launch_command, launch_resources


def study_file():
    """The last --configfile given, or config.yaml: a study is complete in itself, nothing is merged."""
    return Path((workflow.configfiles or ["config.yaml"])[-1])


def frozen_plan():
    """Plan once in the main process; the jobs of a cluster read what it planned."""
    if workflow.is_main_process:
        # Every job parses these files: what only the main process needs is imported here.
        from decar.planning.plan import make_plan

        if workflow.config_settings.config:
            raise WorkflowError(
                "--config is not used here: a study file is complete in itself; use --configfile."
            )
        study = load_study(study_file())
        cores = workflow.resource_settings.cores or 1
        plan = make_plan(study_file(), study, logger.warning, cores)
        os.environ["DECAR_PLAN"] = str(plan)
    return load_plan(Path(os.environ["DECAR_PLAN"]))


PLAN = frozen_plan()
PLAN_FILE = os.environ["DECAR_PLAN"]
FOLDER = PLAN.folder
STUDY = load_study(Path(PLAN.study))
FIGURES = figure_names(STUDY)
BENCHMARK = benchmark_folder(STUDY, Path(PLAN.dataset))


envvars:
    "DECAR_PLAN",


wildcard_constraints:
    batch=r"[0-9a-f]+-[0-9a-f]{16}",
    bucket=r"[0-9a-f]+",
    hash=r"[0-9a-f]{16}",
    figure="|".join(FIGURES),
    part=r"[A-Za-z0-9_\-.]+",


def unless_made(output, inputs):
    """Input function: nothing where the output is there already.

    Its name says that it is right, whatever has to be made anew before it: a corrected name in the table makes another
    dataset, of which every network is still the network. (`ancient` alone holds only for inputs that exist.)
    """
    settings = workflow.dag_settings
    forced = settings is not None and (settings.forceall or settings.forcerun)

    def wanted(wildcards):
        if not forced and Path(output.format(**wildcards)).exists():
            return []
        return inputs(wildcards) if callable(inputs) else inputs

    return ancient(wanted)


def source_of(wildcards):
    return PLAN.sources[wildcards.batch]


def parent_of(stage, previous):
    """Input function: the receipt of the stage before, of the same molecules."""

    def receipt(wildcards):
        return f"{FOLDER}/{previous}/{PLAN.parents[stage][wildcards.batch]}.parquet"

    return receipt


def mem_mb(job):
    """Resource function: memory of the largest molecule of the batch, or of a step of the study; grows with attempts."""
    return lambda wildcards, attempt: attempt * demand_of(job, wildcards)[0]


def runtime(job):
    """Resource function: minutes of all molecules of the batch, or of a step of the study; grows with attempts."""
    return lambda wildcards, attempt: attempt * demand_of(job, wildcards)[1]


def demand_of(job, wildcards):
    """What the plan says a job of a per-molecule stage, or of a step that sees all molecules, asks for at first."""
    if job in PLAN.steps:
        return PLAN.steps[job]
    place = 2 * list(PLAN.parents).index(job)
    return PLAN.demands[wildcards.batch.split("-")[0]][place : place + 2]


def stage_receipts(stage):
    return [f"{FOLDER}/{stage}/{name}.parquet" for name in PLAN.parents[stage]]


def receipts_of_shard(wildcards):
    return [
        f"{FOLDER}/fields/{name}.parquet"
        for name in PLAN.shards[f"{wildcards.bucket}-{wildcards.hash}"]
    ]


def cube_receipts():
    if not STUDY.fields.write_cubes:
        return []
    return [f"{FOLDER}/cubes/{name}.txt" for name in PLAN.parents["fields"]]


def shard_files():
    return [f"{FOLDER}/shards/{name}.h5" for name in PLAN.shards]


def dataset_file(name):
    return f"{PLAN.dataset}/{name}"


def training_job(name):
    return next(job for job in PLAN.trainings if Path(job.folder).name == name)


def training_inputs(wildcards):
    """The tables of the dataset, and what the voxels are read or rendered from."""
    network = STUDY.training.models[training_job(wildcards.job).model]
    voxels = (
        shard_files() if network.input == "shards" else stage_receipts("wavefunction")
    )
    return [dataset_file("manifest.parquet"), *voxels]


def training_cores():
    """Each process of a node has its threads, and the workers that read for it."""
    training = STUDY.training
    return training.processes_per_node * (training.threads + training.num_workers)


def training_arguments(name):
    job = training_job(name)
    again = f" --repeat {job.repeat}" if job.repeat else ""
    return f"--model {job.model} --scheme {job.scheme} --fold {job.fold}{again}"


def predictions():
    return [f"{job.folder}/predictions.parquet" for job in PLAN.training]


def explained_jobs():
    """The training jobs whose kernels are explained: the network, and the same one on permuted labels."""
    return [job for job in (PLAN.explained, PLAN.permuted) if job]


def benchmark_parts():
    left_out = unavailable(STUDY)
    return [
        f"{part.folder}/predictions.parquet"
        for part in parts_of(STUDY, Path(PLAN.dataset))
        if part.contender not in left_out
    ]


@cache
def contenders_of_parts():
    """Whose part of the benchmark has which name: hashed once, not for each job."""
    return {part.name: part.contender for part in parts_of(STUDY, Path(PLAN.dataset))}


def gpus_of_part(wildcards):
    """A network of a study that trains on GPUs needs one, a baseline needs none."""
    is_network = contenders_of_parts()[wildcards.part] in network_contenders(STUDY)
    return gpus_per_part(STUDY) if is_network else 0


def minutes_of_part(wildcards, attempt):
    """An ensemble, or what is tuned, is several trainings after one another."""
    trainings = num_trainings(STUDY, contenders_of_parts()[wildcards.part])
    return max(1, trainings) * runtime("train")(wildcards, attempt)


def benchmark_of_figure(wildcards):
    """One figure is drawn from the benchmark, and only a study that asks for it pays for that."""
    return f"{BENCHMARK}/benchmark.md" if wildcards.figure == GROWTH else []


def receipt(name):
    return f"{FOLDER}/figures/receipts/{name}-{PLAN.figures_hash}.json"


def figure_receipts():
    return [receipt(name) for name in FIGURES]


def table_files():
    return [
        f"{FOLDER}/tables/{name}.{kind}"
        for name in table_names(STUDY)
        for kind in ("csv", "tex", "md")
    ]


def report_files():
    """Every figure and table, the report and the manifest, each by name: one that is deleted is made again.

    Only the names of the receipts tell of which settings they are.
    """
    figures = [
        f"{FOLDER}/figures/{name}.{kind}"
        for name in FIGURES
        for kind in [*PLAN.formats, "csv"]
    ]
    receipts = [*figure_receipts(), receipt("tables"), receipt("report")]
    manifest = f"{FOLDER}/figures/manifest.json"
    return [*figures, *table_files(), f"{FOLDER}/report.html", *receipts, manifest]
