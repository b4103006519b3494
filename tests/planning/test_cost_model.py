"""Costs grow with every size and setting; jobs ask for what their largest molecule needs."""

from pathlib import Path

import numpy as np
import pytest

from decar.config import Study
from decar.dataset.rendered_dataset import MOST_BYTES
from decar.planning.cost_jobs import (
    HARD_ATOMS_MB,
    attribution_costs,
    batch_demands,
    hard_atoms_memory,
    plan_demands,
    sizes_for,
    step_demands,
    training_costs,
)
from decar.planning.cost_model import PSI4_TIMES_SECONDS, constants, stage_costs
from decar.planning.cost_steps import attribution_passes, network_operations
from decar.stages import MOLECULE_STAGES

GROWING = ["CH4O", "C3H8O3", "C6H12O6", "C12H22O11", "C27H32O14"]
PLACE = {stage: place for place, stage in enumerate(MOLECULE_STAGES)}


def make_study(**sections: dict[str, object]) -> Study:
    base: dict[str, dict[str, object]] = {
        "molecules": {"table": "none.csv", "labels": {"sweet": {"column": "sweet"}}},
        "fields": {"names": ["electron_density", "electrostatic_potential"]},
        "training": {"property": "sweet", "models": {"decar": {"channels": [4, 8], "kernel_size": 3}}},
        "interpret": {"model": "decar"},
        "figures": {"example": "none"},
    }
    merged = {name: {**base.get(name, {}), **sections.get(name, {})} for name in {*base, *sections}}
    return Study.model_validate({"study": "costs", **merged})


def test_every_cost_grows_with_the_molecule() -> None:
    study = make_study()
    for stage, costs in stage_costs(study, sizes_for(study, GROWING)).items():
        for name in ("seconds", "memory_mb", "stored_bytes"):
            values = getattr(costs, name)
            assert (values > 0).all(), (stage, name)
            assert (np.diff(values) >= 0).all(), (stage, name)
        assert costs.seconds[-1] > 1.5 * costs.seconds[0], stage


@pytest.mark.parametrize(
    ("stage", "cheap", "dear"),
    [
        ("conformers", {"conformers": {"num_embeddings": 5}}, {"conformers": {"num_embeddings": 50}}),
        ("optimise", {"conformers": {"num_kept": 1}}, {"conformers": {"num_kept": 4}}),
        ("optimise", {"optimise": {"methods": ["gfn2-xtb"]}}, {"optimise": {"methods": ["gfn2-xtb", "dft"]}}),
        ("wavefunction", {"quantum": {"basis": "sto-3g"}}, {"quantum": {"basis": "6-31g*"}}),
        ("wavefunction", {"quantum": {"basis": "6-31g*"}}, {"quantum": {"basis": "def2-tzvp"}}),
        ("wavefunction", {"quantum": {"quadrature_level": 1}}, {"quantum": {"quadrature_level": 5}}),
        ("wavefunction", {"quantum": {"method": "hf"}}, {"quantum": {"method": "b3lyp"}}),
        ("fields", {"fields": {"names": ["electron_density"]}}, {}),
        ("fields", {"fields": {"spacing_angstrom": 0.5}}, {"fields": {"spacing_angstrom": 0.2}}),
    ],
)
def test_what_costs_more_is_estimated_to_cost_more(
    stage: str, cheap: dict[str, dict[str, object]], dear: dict[str, dict[str, object]]
) -> None:
    first, second = make_study(**cheap), make_study(**dear)
    less = stage_costs(first, sizes_for(first, GROWING))[stage].seconds
    more = stage_costs(second, sizes_for(second, GROWING))[stage].seconds
    assert (more > less).all()


@pytest.mark.parametrize(
    ("stage", "small", "large"),
    [
        ("wavefunction", {"quantum": {"basis": "sto-3g"}}, {"quantum": {"basis": "6-31g*"}}),
        ("wavefunction", {"quantum": {"basis": "6-31g*"}}, {"quantum": {"basis": "def2-tzvp"}}),
        ("wavefunction", {}, {"quantum": {"backend": "psi4"}}),
        ("optimise", {"optimise": {"methods": ["mmff"]}}, {"optimise": {"methods": ["mmff", "dft"]}}),
        ("fields", {"fields": {"spacing_angstrom": 0.2}}, {"fields": {"spacing_angstrom": 0.1}}),
    ],
)
def test_jobs_ask_for_more_memory_where_basis_or_grid_are_larger(
    stage: str, small: dict[str, dict[str, object]], large: dict[str, dict[str, object]]
) -> None:
    asked = [batch_demands(make_study(**study), GROWING, range(5))[:, PLACE[stage]] for study in (small, large)]
    assert (asked[1] >= asked[0]).all()
    assert asked[1][-1, 0] > asked[0][-1, 0]  # megabytes of the largest molecule


def test_psi4_is_counted_wherever_it_computes_and_nowhere_else() -> None:
    sizes = sizes_for(make_study(), GROWING)
    for methods, run_by_psi4 in ((["gfn2-xtb"], {"wavefunction"}), (["dft"], {"wavefunction", "optimise"})):
        ours, theirs = (
            stage_costs(make_study(optimise={"methods": methods}, quantum={"backend": backend}), sizes)
            for backend in ("pyscf", "psi4")
        )
        for stage in MOLECULE_STAGES:
            ratio = theirs[stage].seconds / ours[stage].seconds
            assert ratio == pytest.approx(np.full(5, PSI4_TIMES_SECONDS if stage in run_by_psi4 else 1.0)), stage
            assert ((theirs[stage].memory_mb > ours[stage].memory_mb) == (stage in run_by_psi4)).all(), stage


def test_a_batch_asks_for_its_largest_molecule_and_the_time_of_all() -> None:
    study = make_study()
    alone = batch_demands(study, GROWING, range(5))
    together = batch_demands(study, GROWING * 20, [0])
    assert alone.shape == (5, 4, 2)
    assert (together[0, :, 0] == alone[:, :, 0].max(axis=0)).all()
    costs = stage_costs(study, sizes_for(study, GROWING))
    for stage, place in PLACE.items():
        minutes = 20 * costs[stage].seconds.sum() / 60
        assert together[0, place, 1] > 2 * minutes
        assert (alone[:, place, 0] > costs[stage].memory_mb).all()
    # A batch keeps what it asks for when another one changes.
    mixed = batch_demands(study, ["C60", *GROWING], [0, 1, 3])
    assert (mixed[2] == batch_demands(study, GROWING[2:], [0])[0]).all()


def test_a_plan_keeps_whole_numbers_by_prefix() -> None:
    demands = plan_demands(make_study(), GROWING, ["0a", "1b"], [0, 2])
    assert list(demands) == ["0a", "1b"]
    for row in demands.values():
        assert len(row) == 2 * len(MOLECULE_STAGES)
        assert all(type(number) is int and number > 0 for number in row)


def test_memory_of_training_follows_batch_box_and_channels() -> None:
    def memory(batch_size: int, channels: list[int], spacing: float, processes: int = 1) -> float:
        network = {"channels": channels, "kernel_size": 3}
        study = make_study(
            training={"batch_size": batch_size, "models": {"decar": network}, "processes_per_node": processes},
            fields={"spacing_angstrom": spacing},
        )
        voxels = float(sizes_for(study, GROWING).voxels.max())
        return training_costs(study, study.training.models["decar"], 1000, voxels)[1]

    assert memory(4, [8, 16], 0.4) < memory(16, [8, 16], 0.4) < memory(16, [32, 16], 0.4) < memory(16, [32, 16], 0.2)
    assert memory(16, [8, 16], 0.3, processes=2) < memory(16, [8, 16], 0.3)
    study = make_study()
    few, many = step_demands(study, GROWING), step_demands(study, GROWING * 2000)
    assert all(few[name].mem_mb <= many[name].mem_mb and few[name].runtime <= many[name].runtime for name in few)
    assert many["train"].runtime > few["train"].runtime
    content = study.model_dump(mode="json")
    for network in content["training"]["models"].values():
        network["input"] = "rendered"
    rendered = step_demands(Study.model_validate(content), GROWING * 2000)
    assert rendered["train"].runtime > many["train"].runtime
    assert {**rendered, "train": many["train"]} == many


def test_other_networks_cost_what_they_took_beside_the_published_one() -> None:
    def costs(**network: object) -> tuple[float, float]:
        study = make_study(training={"models": {"decar": {"channels": [8, 16], "kernel_size": 5}, "other": network}})
        return training_costs(study, study.training.models["other"], 1000, 1e5)

    plain = costs(channels=[8, 8, 8], kernel_size=5)
    residual = costs(channels=[8, 8, 8], kernel_size=5, architecture="residual")
    steerable = costs(channels=[8, 8, 8], kernel_size=5, architecture="steerable")
    chiral = costs(channels=[8, 8, 8], kernel_size=5, architecture="steerable", chiral=True)
    assert plain < residual < steerable < chiral
    in_space = {"channels": [8, 8, 8], "architecture": "steerable"}  # of 8, 10 and 20 voxels, as kernel_size: 5 has
    assert costs(**in_space, kernel_diameters_angstrom=[8 * 0.35, 10 * 0.35, 20 * 0.35]) == steerable
    assert costs(**in_space, kernel_diameters_angstrom=[8 * 0.35, 20 * 0.35, 20 * 0.35])[0] > steerable[0]
    times = constants()["architectures"]["steerable"]["seconds"]
    start = constants()["quantities"]["train.seconds"]["coefficients"]["1"]
    assert steerable[0] - start == pytest.approx(times * (plain[0] - start))


def test_attributions_cost_passes_through_the_networks() -> None:
    # A gradient is a pass forward and two back; an occlusion asks once for each atom and once for the whole.
    assert attribution_passes(["integrated_gradients"], 10, 7, 24, 13.0) == 10 * 7 * 72
    assert attribution_passes(["occlusion", "grad_cam"], 2, 1, 24, 13.0) == 2 * (14 + 3)
    study = make_study()
    more = study.model_copy(update={"attribution": study.attribution.model_copy(update={"num_molecules": 20})})
    assert attribution_costs(more, 100, 1e5, 13.0) == pytest.approx(2 * attribution_costs(study, 100, 1e5, 13.0))
    assert attribution_costs(more, 5, 1e5, 13.0) == attribution_costs(study, 5, 1e5, 13.0)


def test_operations_of_a_network_are_those_of_its_layers() -> None:
    assert network_operations(1000.0, 2, [4, 8], 3) == 1000 * 2 * 4 * 27 + 125 * 4 * 8 * 27


def test_the_constants_say_how_they_were_made_and_how_wrong_they_are(root: Path) -> None:
    found = constants()
    assert "benchmarks/costs" in found["command"]
    assert {"versions", "machine", "processor", "created_utc"} <= set(found["measured"])
    for name, quantity in found["quantities"].items():
        assert quantity["factor_90"] >= 1, name
        assert all(value > 0 for value in quantity["coefficients"].values()), name
        assert quantity["num_measurements"] > 1, name
    document = (root / "docs" / "estimate.md").read_text(encoding="utf-8")
    for name, quantity in found["quantities"].items():
        assert f"| {name.replace('.', ', ')} | {quantity['num_measurements']} |" in document
        assert f"{quantity['median_error']:.0%} | {quantity['factor_90']:.2f} |" in document
    # Nine of ten molecules that were left out of the fit.
    assert found["quantities"]["wavefunction.seconds"]["factor_90"] < 2
    assert found["quantities"]["wavefunction.memory"]["factor_90"] < 1.5


def test_a_rendered_potential_is_kept_in_part_by_every_process() -> None:
    fields = {"fields": ["electron_density", "electrostatic_potential"]}
    models = {"decar": {}, "stored": fields, "rendered": {**fields, "input": "rendered"},
              "density": {"input": "rendered"}}  # fmt: skip
    study = make_study(training={"models": models, "num_workers": 3})

    def memory(name: str, num: int) -> float:
        return hard_atoms_memory(study, study.training.models[name], num)

    assert memory("stored", 1000) == memory("density", 1000) == 0
    assert memory("rendered", 100) == pytest.approx(160)
    assert memory("rendered", 10**6) == 4 * HARD_ATOMS_MB == 4 * MOST_BYTES / 1e6
    more, less = (training_costs(study, study.training.models[name], 100, 1e5)[1] for name in ("rendered", "stored"))
    assert more - less == pytest.approx(160)
