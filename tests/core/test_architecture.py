"""What holds the parts together: imports follow the data, `import decar` is light, a changed stage was decided on."""

import ast
import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from decar.baselines.chemprop_program import INSTALL

ORDER = (
    "molecules", "quantum", "fields", "exchange", "dataset", "models", "training", "baselines", "evaluate", "benchmark",
    "interpret", "planning", "predict", "figures",
)  # fmt: skip
# The modules whose code decides the numbers of a stage.
STAGE_CODE = {
    "molecules": ["molecules/standardise.py", "molecules/identity.py"],
    "conformers": ["molecules/conformers.py", "molecules/force_field.py", "xtb.py"],
    "optimise": ["quantum/optimise.py", "quantum/geometric_driver.py", "quantum/frame.py"],
    "wavefunction": [
        "quantum/single_point.py",
        "quantum/pyscf_backend.py",
        "quantum/pyscf_scf.py",
        "quantum/pyscf_mole.py",
        "quantum/scf_quadrature.py",
        "quantum/scf_rescue.py",
        *(f"quantum/psi4_{name}.py" for name in ("job", "worker", "convention", "orbitals", "backend")),
    ],
    "fields": [
        *(
            f"fields/{name}.py"
            for name in ("compute", "registry", "scene", "grid", "orbitals", "harmonics", "screening")
        ),
        *(
            f"fields/{name}.py"
            for name in ("basis_blocks", "density", "local_fields", "points", "promolecular", "free_atoms")
        ),
        *(
            f"fields/{name}.py"
            for name in ("potential", "gaussian_split", "hard_atoms", "balls", "coulomb", "interpolation")
        ),
        *(f"fields/{name}.py" for name in ("quadrature", "radial_poisson", "outside")),
    ],
    "shards": ["dataset/shards.py", "dataset/splits.py", "dataset/assemble.py"],
    "train": [
        "training/train.py",
        "training/module.py",
        "training/batches.py",
        "training/loaders.py",
        "training/outcome.py",
        "training/objectives.py",
        "training/transfer.py",
        "training/standardise.py",
        "training/pretrain.py",
        "training/fill_in.py",
        "training/masking.py",
        "training/trainer.py",
        "training/callbacks.py",
        "training/domain.py",
        "models/convolution.py",
        "models/published.py",
        "models/network.py",
        "models/build.py",
        "models/residual.py",
        "models/steerable.py",
        "dataset/normalise.py",
        "dataset/statistics.py",
        "dataset/rotations.py",
        "dataset/samples.py",
        "dataset/voxel_dataset.py",
        "dataset/torch_dataset.py",
        "dataset/rendered_dataset.py",
        "dataset/pose.py",
        *(
            f"fields/{name}.py"
            for name in ("on_device", "function_plan", "block_batches", "many_molecules", "many_balls")
        ),
        "predictions.py",
    ],
    "evaluate": [
        "evaluate/run.py",
        "evaluate/metrics.py",
        "evaluate/intervals.py",
        "evaluate/regression.py",
        "evaluate/measures.py",
        "predictions.py",
        "baselines/models.py",
        "baselines/boosting.py",
        "baselines/tuned.py",
        "baselines/descriptors.py",
    ],
    "interpret": [
        *(f"interpret/{name}.py" for name in ("run", "correlation", "receptive", "statistics")),
        *(f"interpret/{name}.py" for name in ("patches", "turned", "vacuum", "controls")),
        "predictions.py",
    ],
    "attribute": [
        *(f"interpret/{name}.py" for name in ("attribute", "attribution", "cells", "agreement", "gallery")),
        *(f"interpret/{name}.py" for name in ("groups", "group_table", "kernel_shape")),
        "predictions.py",
    ],
}


def modules(root: Path) -> list[Path]:
    return sorted((root / "src" / "decar").rglob("*.py"))


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def test_imports_follow_the_data(root: Path) -> None:
    source = root / "src" / "decar"
    wrong = []
    for path in modules(root):
        parts = path.relative_to(source).parts
        if parts[0].startswith(("cli", "verify")):
            continue
        own = ORDER.index(parts[0]) if parts[0] in ORDER else -1  # config is beneath all, and so are single files
        for name in imported(path):
            words = name.split(".")
            if words[0] == "decar" and len(words) > 1 and words[1] in ORDER and ORDER.index(words[1]) > own:
                wrong.append(f"{'/'.join(parts)} imports {name}")
    assert wrong == []


def test_plain_import_is_light() -> None:
    heavy = ("torch", "pyscf", "rdkit", "pandas")
    code = f"import sys, decar, decar.config_file; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def code_hash(root: Path, files: list[str]) -> str:
    """Hash what the code does: its syntax tree without docstrings, comments and layout."""
    digest = hashlib.sha256()
    for name in files:
        tree = ast.parse((root / "src" / "decar" / name).read_text())
        for node in ast.walk(tree):
            body = getattr(node, "body", None)
            if (
                isinstance(body, list)
                and body
                and isinstance(body[0], ast.Expr)
                and isinstance(body[0].value, ast.Constant)
            ):
                body[0].value.value = ""
        digest.update(ast.dump(tree).encode())
    return digest.hexdigest()[:16]


@pytest.mark.parametrize("stage", STAGE_CODE)
def test_changed_stage_was_decided_on(root: Path, stage: str) -> None:
    """Code of a stage changed: bump its STAGE_VERSION if its numbers change; then `python tests/core/stage_code.py`."""
    from decar.stages import STAGE_VERSION

    known = json.loads((root / "tests" / "core" / "stage_code.json").read_text())[stage]
    assert known == {"version": STAGE_VERSION[stage], "code": code_hash(root, STAGE_CODE[stage])}


def test_rule_files_only_wire(root: Path) -> None:
    for path in sorted((root / "workflow" / "rules").glob("*.smk")):
        if path.name != "common.smk":
            assert not re.search(r"^\s*(def\s|run:|script:)", path.read_text(), re.MULTILINE), path.name


def test_environments_pin_what_the_lock_pins(root: Path) -> None:
    lock = {line.strip().lower() for line in (root / "requirements.lock").read_text().splitlines()}
    lock.add(re.search(r"chemprop==[\d.]+", INSTALL)[0])  # type: ignore[index] # an environment of its own
    pins = [
        line.strip().removeprefix("- ").lower()
        for path in (root / "workflow" / "envs").glob("*.yaml")
        for line in path.read_text().splitlines()
        if "==" in line
    ]
    assert len(pins) > 20
    assert set(pins) <= lock


def test_every_environment_of_a_rule_installs_decar(root: Path) -> None:
    rules = "".join(path.read_text() for path in (root / "workflow" / "rules").glob("*.smk"))
    names = re.findall(r'conda:\s+f?"\.\./envs/(.+)\.yaml"', rules)
    assert len(names) == rules.count("conda:")
    for name in {*names, "pyscf", "psi4"} - {"{STUDY.quantum.backend}"}:
        script = root / "workflow" / "envs" / f"{name}.post-deploy.sh"
        assert script.with_name(f"{name}.yaml").is_file()
        assert 'pip install --no-deps "${DECAR_SOURCE:-.}"' in script.read_text(), script.name


def test_bare_profile_names_resolve(root: Path) -> None:
    for name in ("local", "slurm"):
        assert (root / name).is_symlink()
        assert (root / name / "profile.v9+.yaml").is_file()
