"""Which test runs a command that stands in a bash block of the documents, and which commands no test can run.

A test of `RUN_BY` has the fixture `documented`: it is given its commands as they stand in the documents, fills in what
a reader would (a study file, a folder), and runs them, so that page and test cannot drift apart.
tests/core/test_documents.py holds every command to exactly one pattern, and every test that is named to exist.
"""

import re
from dataclasses import dataclass

from .commands import DOCUMENTS, Line, commands

WORKFLOW, SCRIPTS = "tests/workflow/test_documents.py", "tests/docs/test_scripts.py"
IMPORT, SLURM = "tests/quantum/test_import_study.py", "tests/slurm/test_study.py"

RUN_BY = {  # test: pattern of whole commands
    f"{WORKFLOW}::test_commands_run_on_a_finished_study":
        r"decar (config|doctor|figures|summary|verify).*|decar estimate --study (my_study|config)\.yaml.*",
    f"{WORKFLOW}::test_benchmark_commands_run":
        r"(decar|snakemake) benchmark .*my_study\.yaml.*|python -m benchmarks\.shared_keep .*",
    "tests/docs/test_shared_page.py::test_the_page_says_what_the_kept_predictions_say":
        r"python -m benchmarks\.shared_page .*",
    f"{WORKFLOW}::test_records_of_two_engines_are_compared": r"python benchmarks/cluster_study\.py compare .*",
    f"{WORKFLOW}::test_the_paper_is_planned_from_a_table_of_the_published_form":
        r"decar import chemtastesdb .*|(decar estimate|snakemake -n) .*examples/paper\.yaml.*",
    f"{WORKFLOW}::test_snakemake_reports_every_figure_with_its_caption": r"snakemake .* --report report\.zip",
    "tests/workflow/test_added_row.py::test_an_added_molecule_is_all_that_is_computed":
        r"snakemake (-n |\w+ (?<!benchmark ))?--profile local --configfile my_study\.yaml",
    "tests/predict/test_predict.py::test_a_strangers_table_becomes_predictions": r"decar predict .*",
    f"{IMPORT}::test_a_record_of_its_own": r"decar import-wavefunction .* --output .*",
    f"{IMPORT}::test_the_study_uses_what_was_imported_and_computes_nothing": r"decar import-wavefunction .* --study .*",
    f"{IMPORT}::test_the_geometry_of_a_file_becomes_a_table": r"decar import-wavefunction .* --sdf .*",
    f"{SLURM}::test_every_molecule_gets_its_wavefunction_on_several_nodes":
        r"snakemake --profile slurm wavefunctions|squeue .*",
    "tests/slurm/test_memory.py::test_job_killed_for_memory_passes_with_more": r"snakemake --profile slurm -n",
    "tests/slurm/test_container.py::test_script_runs_its_namesake_inside_the_image": r"export .*",
    "tests/figures/test_report_browser.py::test_pictures_of_the_report_are_taken": r"python docs/report_picture\.py .*",
    f"{SCRIPTS}::test_constants_of_the_cost_model_follow_from_what_was_measured": r"python benchmarks/costs_fit\.py .*",
    f"{SCRIPTS}::test_a_file_of_wavefunctions_becomes_a_study": r"python -m benchmarks\.shared_study .*",
}  # fmt: skip


@dataclass(frozen=True)
class Excuse:
    """Why no test runs a command as it stands, and what runs in its place: tests, or .ci/run."""

    reason: str
    instead: tuple[str, ...] = ()


# Scripts that measure for minutes: all but those above.
QUICK = r"costs_fit|shared_study|shared_keep|shared_page|cluster_study\.py compare|report_picture"
MEASURES = rf"(OMP_NUM_THREADS=1 )?python (-m )?(benchmarks|docs)[./](?!{QUICK}).*"
NOT_RUN = {
    r"(cd \S+ && )?git clone .*|source .*": Excuse("what makes the clone and the shell in which the tests run"),
    r"make (demo|test|setup)": Excuse("makes the environment, runs the tests or takes minutes", (".ci/run",)),
    r"pytest .*": Excuse("these tests are what it runs"),
    r"apptainer build .*": Excuse(
        "there is no Apptainer here, and the page says so",
        ("tests/slurm/test_container.py::test_script_runs_its_namesake_inside_the_image",),
    ),
    r"snakemake --profile slurm --software-deployment-method conda .*": Excuse(
        "there is no conda here, and the page says so",
        ("tests/core/test_architecture.py::test_environments_pin_what_the_lock_pins",
         "tests/core/test_architecture.py::test_every_environment_of_a_rule_installs_decar"),
    ),
    r"snakemake --profile slurm": Excuse(
        "the example study is an hour of a cluster (docs/slurm/ has a run); its targets are run on a small study",
        (f"{SLURM}::test_every_molecule_gets_its_wavefunction_on_several_nodes",
         f"{SLURM}::test_network_is_trained_on_two_nodes"),
    ),
    r"snakemake --profile (slurm|local) --configfile examples/paper\.yaml": Excuse(
        "2944 molecules, 52 trainings and a benchmark; the same command with -n is run",
        (f"{WORKFLOW}::test_the_paper_is_planned_from_a_table_of_the_published_form",),
    ),
    r"snakemake benchmark .* FOLDER/study\.yaml": Excuse(
        "nine networks on 308 molecules, hours; the same command with -n is run",
        (f"{SCRIPTS}::test_a_file_of_wavefunctions_becomes_a_study",),
    ),
    MEASURES: Excuse(
        "measures for minutes to hours, and its output is kept; its arguments are read by its own parser",
        (f"{SCRIPTS}::test_scripts_that_measure_for_minutes_take_their_arguments",),
    ),
}  # fmt: skip


def commands_of(test: str) -> list[Line]:
    """Return the commands that a test of RUN_BY runs."""
    return commands_like(RUN_BY[test])


def commands_like(pattern: str) -> list[Line]:
    """Return the commands of a pattern, each once, in the order of the documents."""
    return list({line.command: line for line in bash_lines() if re.fullmatch(pattern, line.command)}.values())


def bash_lines() -> list[Line]:
    """Return every line of a bash block, in the order of the documents."""
    return [line for page in DOCUMENTS for line in commands(page) if line.tag == "bash"]
