"""A study of the wavefunctions of one HDF5 file: table, study file, and the wavefunction records in its store.

    python -m benchmarks.shared_study FILE.h5 FOLDER [--limit 20] [--unchecked] [--multitask] [--unlabelled FILE2.h5]
    snakemake benchmark --profile local --configfile FOLDER/study.yaml
    decar benchmark --study FOLDER/splits.yaml

The file is described in `benchmarks/tastants.py`. Every molecule is turned into its principal axes (its orbitals with
it, exactly), comes into the study with that geometry as an entry of an SDF table, and is imported as
`decar import-wavefunction` does it, with one Fock build (some seconds each). `--unchecked` leaves the Fock build out:
electrons and orthonormality are still checked, and the record says so. `--multitask` writes a study of networks that
learn four computed properties beside the taste: dipole moment, energy of the highest occupied orbital, RDKit's logP and
polar surface area; it may share the store of the study without it (`store` in its study.yaml). Beside it are the study
files of NUMBERS, whose networks and baselines learn one of these properties alone, a number, and LARGER_BOX, networks
that learn the first of them from boxes that reach 4.5 angstrom beyond the atoms. `--unlabelled` names a file of the
same form whose groups have no `sweet`: its molecules come into the table without a label, as `u-<group>`. Records that
are there are kept, so it may be stopped at any time. FOLDER lies wherever you like; a study file that is there is kept.

Beside study.yaml lie those of FURTHER, of the same records and results: `splits` (random and cluster), `seeds` (three),
`improved` (what docs/benchmark.md found to help), `heads` (on random kernels, all epochs, and ensembles of them),
`head_splits`, `head_seeds`, `tuned` (nine settings of each network), `tuned_steerable` (those of the steerable ones in
mixed precision), `permuted` (ten seeds of permuted labels), `in_space` (heads on kernels that are the same at every
spacing), `steerable_in_space` (networks with such kernels, trained whole, in mixed precision), `rotations` (continuous
ones), `fields` (all scalar ones), `pretrained` (networks with and without pretraining on fields, on the unlabelled
molecules too where there are any), `spacing_0.4` and `spacing_0.9` [angstrom].
"""

import argparse
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import yaml
from benchmarks.tastants import DEBYE, tastant
from rdkit import Chem
from rdkit.Chem import Crippen, rdMolDescriptors

from decar.atomic import write_text
from decar.batch import Molecule
from decar.config import Study
from decar.config_file import load_study
from decar.fields.rotation import rotated
from decar.molecules.given_geometry import read_given_geometry
from decar.molecules.graph import atomic_numbers_of
from decar.molecules.sdf import read_molblocks
from decar.planning.index import build_index
from decar.provenance import provenance
from decar.quantum.frame import principal_axes
from decar.quantum.import_file import ForeignFile, Orbitals
from decar.quantum.import_molecule import sdf_entry
from decar.quantum.import_record import import_for_study
from decar.quantum.record_checks import check_wavefunction
from decar.quantum.single_point import publication
from decar.quantum.wavefunction import Floats, Wavefunction
from decar.record import Record
from decar.stages import molecule_recipes
from decar.store import Store

NETWORKS: dict[str, dict[str, Any]] = {
    "published": {"channels": [8, 16, 32], "kernel_size": 3},
    "residual": {"channels": [8, 16, 32], "kernel_size": 3},
    "steerable": {"channels": [8, 16], "kernel_size": 5},
}
FIELDS = {
    "density": {"fields": ["electron_density"]},
    "density_potential": {"fields": ["electron_density", "electrostatic_potential"]},
    "promolecular": {"fields": ["promolecular_density"], "role": "control"},
}
ABLATIONS: dict[str, dict[str, Any]] = {
    "published_density_no_rotations": {**NETWORKS["published"], **FIELDS["density"], "augmentation": "none"},
    "published_density_24_rotations": {**NETWORKS["published"], **FIELDS["density"], "augmentation": "rotations_24"},
}  # fmt: skip
PROPERTIES = {"dipole": "debye", "highest_occupied": "hartree", "logp": "1", "polar_area": "angstrom^2"}
NUMBERS = ("dipole", "highest_occupied")
LARGER_BOX = "dipole_larger_box"  # the name of a study file
OF_A_NUMBER = (*NUMBERS, LARGER_BOX)  # those of all studies that learn one
STUDY: dict[str, Any] = {
    "study": "shared",
    "molecules": {"labels": {"sweet": {"column": "sweet"}}, "protonation": "as_given"},
    "optimise": {"methods": [], "frame": "as_given"},
    "fields": {
        "names": ["electron_density", "promolecular_density", "electrostatic_potential"],
        "spacing_angstrom": 0.6, "padding_angstrom": 2.5,
    },
    "dataset": {"num_shards": 1, "splits": [{"scheme": "scaffold", "num_folds": 5}]},
    "training": {
        "property": "sweet",
        "models": {
            f"{architecture}_{name}": {"architecture": architecture, **size, **fields}
            for architecture, size in NETWORKS.items() for name, fields in FIELDS.items()
        } | ABLATIONS,
        "max_epochs": 80, "patience": 25, "learning_rate": 3e-3,
    },
    "benchmark": {
        "splits": {"scaffold": {"scheme": "scaffold"}}, "permuted": ["published_density", "tuned_lssvm_descriptors"],
        "train_shares": [0.25, 0.5, 1.0],
    },
    "interpret": {"model": "published_density", "scheme": "scaffold"},
    "figures": {"positive_name": "sweet", "negative_name": "not sweet"},
    "workflow": {"batch_size": 64},
}  # fmt: skip


MAIN = ["published_density", "steerable_density"]
HEADS = [f"head_{name}" for name in FIELDS]
DIAMETERS = [7.2, 9.0]  # angstrom: kernels that are large enough for 0.4 and 0.6 angstrom
IMPROVED = {"architecture": "steerable", "kernel_size": 5, "standardised": True, "readout": "all", "stop_by": "auroc"}
TRAINED = {"channels": [8, 16]}
FROZEN = {"channels": [16, 64], "frozen": ["layer1", "layer2"], "augmentation": "none"}
OTHER_SPLITS = {"random": {"scheme": "random"}, "cluster": {"scheme": "cluster"}}
OF_HEADS = {
    "models": STUDY["training"]["models"] | {
        f"head_{name}": {**IMPROVED, **FROZEN, **fields} for name, fields in FIELDS.items()
    },
    "patience": STUDY["training"]["max_epochs"],
}  # fmt: skip
# Heads whose kernels are the same at every spacing that holds them.
IN_SPACE = [f"head_{name}_in_space" for name in FIELDS]
OF_HEADS_IN_SPACE = {
    "models": STUDY["training"]["models"] | {
        f"head_{name}_in_space": {**IMPROVED, **FROZEN, **fields, "kernel_diameters_angstrom": DIAMETERS}
        for name, fields in FIELDS.items()
    },
    "patience": STUDY["training"]["max_epochs"],
}  # fmt: skip
WHOLE: dict[str, Any] = {"networks": MAIN, "permuted": [], "train_shares": [1.0]}
# Nine settings each, the budget of the baselines: how fast, and how often turned or how much of it trained.
RATES = {"learning_rate": [1e-3, 3e-3, 1e-2]}
TURNED = {"stop_by": ["auroc"], **RATES, "augmentation": ["none", "rotations_6", "rotations_24"]}
OF_STEERABLE = {
    "stop_by": ["auroc"], "readout": ["all"], "standardised": [True], "augmentation": ["none"], **RATES,
    "frozen": [[], ["layer1"], ["layer1", "layer2"]],
}  # fmt: skip
TUNED: dict[str, dict[str, list[Any]]] = {
    **{f"head_{name}": {**RATES, "dropout": [0.0, 0.2, 0.5]} for name in FIELDS},
    **{f"{architecture}_{name}": TURNED for architecture in ("published", "residual") for name in FIELDS},
}
# Every scalar field that occupied orbitals are enough for.
SCALARS = [
    "electron_density", "density_gradient_norm", "density_laplacian", "kinetic_energy_density", "electron_localisation",
    "localised_orbital_locator", "reduced_density_gradient", "highest_occupied_density", "local_ionisation_energy",
    "promolecular_density", "deformation_density", "electrostatic_potential",
]  # fmt: skip
# Pairs that differ in pretraining alone.
PAIRS = {
    f"{architecture}_{name}_{way}": {
        "architecture": architecture, **NETWORKS[architecture], **FIELDS[name], "stop_by": "auroc", **beginning,
    }
    for architecture, name in (
        ("steerable", "density"), ("published", "density"), ("published", "density_potential")
    )
    for way, beginning in (("from_scratch", {}), ("pretrained", {"pretraining": {}}))
}  # fmt: skip
# By section: what a study file of this name says in another way than study.yaml.
FURTHER: dict[str, dict[str, Any]] = {
    "splits": {
        "benchmark": {
            **WHOLE, "splits": OTHER_SPLITS, "networks": [*MAIN, *(f"{name}_potential" for name in MAIN)],
        },
    },
    "seeds": {"benchmark": {**WHOLE, "num_seeds": 3}},
    "improved": {
        "training": {
            "models": STUDY["training"]["models"] | {
                f"steerable_{name}_improved": {**IMPROVED, **TRAINED, **fields} for name, fields in FIELDS.items()
            },
        },
        "benchmark": {**WHOLE, "baselines": [], "networks": [f"steerable_{name}_improved" for name in FIELDS]},
    },
    "heads": {
        "training": OF_HEADS,
        "benchmark": {**STUDY["benchmark"], "permuted": [], "networks": HEADS, "ensembles": dict.fromkeys(HEADS, 5)},
    },
    "head_splits": {
        "training": OF_HEADS, "benchmark": {**WHOLE, "baselines": [], "networks": HEADS, "splits": OTHER_SPLITS},
    },
    "permuted": {
        "training": OF_HEADS,
        "benchmark": {
            **WHOLE, "baselines": ["tuned_lssvm_descriptors"], "networks": [], "num_seeds": 10,
            "permuted": ["tuned_lssvm_descriptors", "head_density", "head_density_potential"],
        },
    },
    "in_space": {"training": OF_HEADS_IN_SPACE, "benchmark": {**WHOLE, "baselines": [], "networks": IN_SPACE}},
    "steerable_in_space": {
        "training": {
            "precision": "bfloat16",
            "models": STUDY["training"]["models"] | {
                f"steerable_{name}_in_space": {
                    **STUDY["training"]["models"][f"steerable_{name}"], "kernel_diameters_angstrom": DIAMETERS,
                }
                for name in FIELDS
            },
        },
        "benchmark": {**WHOLE, "baselines": [], "networks": [f"steerable_{name}_in_space" for name in FIELDS]},
    },
    "head_seeds": {
        "training": OF_HEADS, "benchmark": {**WHOLE, "baselines": [], "networks": HEADS, "num_seeds": 3},
    },
    "tuned": {
        "training": {**OF_HEADS, "patience": STUDY["training"]["patience"]},
        "benchmark": {**WHOLE, "networks": [], "tuned": TUNED},
    },
    # A step of a steerable network takes a third of the time in mixed precision on a CPU that has it.
    "tuned_steerable": {
        "training": {**STUDY["training"], "precision": "bfloat16"},
        "benchmark": {
            **WHOLE, "baselines": [], "networks": [], "tuned": {f"steerable_{name}": OF_STEERABLE for name in FIELDS},
        },
    },
    "rotations": {
        "training": {
            "models": STUDY["training"]["models"] | {
                "published_density_continuous": {
                    **NETWORKS["published"], **FIELDS["density"], "input": "rendered", "augmentation": "continuous",
                },
            },
        },
        "benchmark": {**WHOLE, "baselines": [], "networks": ["published_density_continuous"]},
    },
    "fields": {"study": "shared_fields", "fields": {"names": SCALARS}, "benchmark": {**WHOLE, "baselines": []}},
    "pretrained": {
        "training": {"models": STUDY["training"]["models"] | PAIRS},
        "benchmark": {**WHOLE, "baselines": [], "networks": list(PAIRS), "num_seeds": 3},
    },
    "pretrained_heads": {
        "training": {
            "models": STUDY["training"]["models"] | {
                name: {**IMPROVED, **FROZEN, **FIELDS["density"], **beginning}
                for name, beginning in (
                    ("head_density", {}), ("head_density_pretrained", {"pretraining": {"epochs": 10}})
                )
            },
            "patience": STUDY["training"]["max_epochs"],
        },
        "benchmark": {**WHOLE, "baselines": [], "networks": ["head_density", "head_density_pretrained"]},
    },
    **{
        f"spacing_{spacing}": {
            "study": f"shared_{spacing}".replace(".", "_"), "fields": {"spacing_angstrom": spacing},
            "training": OF_HEADS_IN_SPACE,
            "benchmark": {**WHOLE, "baselines": [], "networks": [*MAIN, *IN_SPACE]},
        }
        for spacing in (0.4, 0.9)
    },
}  # fmt: skip


def read_molecule(group: Any) -> tuple[Wavefunction, str]:
    """Return the wavefunction of a molecule in its principal axes, and the SHA-256 of what the file holds of it."""
    found = tastant(group)
    axes = principal_axes(found.atomic_numbers, found.geometry_bohr)
    turned = rotated(found, _turn(found.geometry_bohr, axes))
    # The turn is about the origin; a shift changes no coefficient.
    shift = (axes - turned.geometry_bohr).mean(axis=0)
    moved = replace(turned, geometry_bohr=turned.geometry_bohr + shift)
    arrays = [group[name][()].tobytes() for name in ("atomic_numbers", "geometry_bohr", "mo_occupied", "mo_energy")]
    return moved, hashlib.sha256(b"".join(arrays)).hexdigest()


def _turn(before: Floats, after: Floats) -> Floats:
    """Return the proper rotation that takes one geometry to the other (Kabsch, doi 10.1107/S0567739476001873)."""
    left, _, right = np.linalg.svd((after - after.mean(axis=0)).T @ (before - before.mean(axis=0)))
    return np.asarray(left @ np.diag([1.0, 1.0, np.linalg.det(left @ right)]) @ right)


def foreign(found: Wavefunction, sha256: str) -> ForeignFile:
    """Return the wavefunction as the import takes it."""
    return ForeignFile(
        format="hdf5", sha256=sha256, program="PySCF", method="b3lyp", basis_name="6-31g*",
        energy_hartree=found.energy_hartree, atomic_numbers=found.atomic_numbers, core_charges=found.nuclear_charges,
        geometry_bohr=found.geometry_bohr, basis=found.basis, beta=None, warnings=(),
        alpha=Orbitals(found.alpha_coefficients, found.alpha_occupations, found.alpha_energies),
    )  # fmt: skip


def unchecked(study: Study, molecule: Molecule, recipe: str, found: Wavefunction, file: ForeignFile) -> Record:
    """Return the record that the import would make, without its Fock build."""
    check_wavefunction(found, where=molecule.key)
    stated = {**found.to_metadata(), "geometry_conformer": 0, "annotations": []}
    metadata = {
        "key": molecule.key, "smiles": molecule.smiles, "charge": molecule.charge,
        "multiplicity": molecule.multiplicity, "source": "imported",
        "imported": {**file.to_metadata(), "check": None}, "num_conformers": 1, "conformers": [stated],
        "failed_conformers": [], **publication(study.contribution),
    }  # fmt: skip
    made_by = {**provenance("pyscf", "numpy"), "engine": {"name": file.program, "versions": {}}}
    return Record("wavefunction", recipe, metadata, found.to_arrays("0/"), made_by)


def properties_of(found: Wavefunction, smiles: str) -> dict[str, float]:
    """Return the four computed properties, by the names of PROPERTIES."""
    molecule = Chem.MolFromSmiles(smiles)
    return {
        "dipole": float(np.linalg.norm(found.dipole_e_bohr)) * DEBYE,
        "highest_occupied": float(found.alpha_energies.max()),
        "logp": Crippen.MolLogP(molecule), "polar_area": rdMolDescriptors.CalcTPSA(molecule),
    }  # fmt: skip


def multitask() -> dict[str, Any]:
    """Return the parts of the study that differ: labels, and networks that learn them beside the taste."""
    labels = {name: {"column": name, "kind": "regression", "unit": unit} for name, unit in PROPERTIES.items()}
    models = {
        f"{name}_multitask": {**STUDY["training"]["models"][name], "tasks": {task: {"weight": 0.25} for task in labels}}
        for name in ("published_density", "published_density_potential", "steerable_density_potential")
    }
    return {
        "study": "shared_multitask", "training": {**STUDY["training"], "models": models},
        "molecules": {**STUDY["molecules"], "labels": {**STUDY["molecules"]["labels"], **labels}},
        "interpret": {"model": "published_density_multitask", "scheme": "scaffold"},
        "benchmark": {**STUDY["benchmark"], "baselines": [], "permuted": []},
    }  # fmt: skip


def number(name: str) -> dict[str, Any]:
    """Return the parts of the study that differ: one of the properties is learned in place of the taste."""
    labels = {name: {"column": name, "kind": "regression", "unit": PROPERTIES[name]}}
    models = {
        f"{architecture}_{of}": {"architecture": architecture, **NETWORKS[architecture], **fields, **readout}
        for architecture, readout in (("published", {}), ("steerable", {"readout": "all"}))
        for of, fields in FIELDS.items()
    }
    steerable = models["steerable_density_potential"]
    models["steerable_density_potential_in_space"] = {**steerable, "kernel_diameters_angstrom": DIAMETERS}
    names = {"positive_name": "above the median", "negative_name": "up to the median"}
    return {
        "study": f"shared_{name}", "molecules": {**STUDY["molecules"], "labels": labels}, "figures": names,
        "training": {**STUDY["training"], "property": name, "precision": "bfloat16", "models": models},
        "benchmark": {"splits": STUDY["benchmark"]["splits"], "permuted": ["tuned_lssvm_descriptors"]},
    }  # fmt: skip


def in_a_larger_box(name: str) -> dict[str, Any]:
    """Return `number` in boxes that reach further, for the networks that read what reaches that far, the potential."""
    study = number(name)
    models = study["training"]["models"].items()
    networks = [network for network, model in models if "electrostatic_potential" in model["fields"]]
    return {
        **study, "study": f"{study['study']}_larger_box", "fields": {**STUDY["fields"], "padding_angstrom": 4.5},
        "benchmark": {**study["benchmark"], "baselines": [], "permuted": [], "networks": networks},
    }  # fmt: skip


def further(name: str) -> dict[str, Any]:
    """Return the parts of a further study that differ."""
    return {
        section: {**STUDY[section], **change} if isinstance(change, dict) else change
        for section, change in FURTHER[name].items()
    }


def changes_of(name: str) -> dict[str, Any]:
    """Return the parts of a study file, by its name, that differ from study.yaml."""
    if name == "study":
        return {}
    if name in NUMBERS:
        return number(name)
    if name == LARGER_BOX:
        return in_a_larger_box("dipole")
    return multitask() if name == "multitask" else further(name)


def settings_of(name: str, folder: Path, example: str) -> dict[str, Any]:
    """Return what FOLDER/NAME.yaml says."""
    asked = {**STUDY, **changes_of(name)}
    return {
        **asked, "results": str(folder / "results"), "store": str(folder / "store"),
        "molecules": {**asked["molecules"], "table": str(folder / "table.sdf")},
        "figures": {**asked["figures"], "example": example},
    }  # fmt: skip


def write_study(folder: Path, example: str, name: str, *, is_main: bool = False) -> Study:
    """Write FOLDER/NAME.yaml, or FOLDER/study.yaml for the main one, unless it is there, and return what it says."""
    path = folder / f"{'study' if is_main else name}.yaml"
    if not path.exists():
        write_text(path, yaml.safe_dump(settings_of(name, folder, example), sort_keys=False))
    return load_study(path)


Molecules = dict[str, tuple[Wavefunction, str, Path]]  # by identifier: with hash and file


def read_entries(source: Path, prefix: str, limit: int | None, is_multitask: bool, molecules: Molecules) -> str:
    """Return the entries of a file's molecules in the table, whose wavefunctions are added to `molecules`."""
    entries = []
    with h5py.File(source) as file:
        for name in sorted(file)[:limit]:
            found, sha256 = read_molecule(file[name])
            molecules[prefix + name] = found, sha256, source
            stated = file[name].attrs
            entry = sdf_entry(prefix + name, str(stated["smiles"]), found.atomic_numbers, found.geometry_bohr)
            labels: dict[str, object] = {"name": stated["name"]}
            if "sweet" in stated:
                labels["sweet"] = int(stated["sweet"])
            if is_multitask:
                labels |= properties_of(found, str(stated["smiles"]))
            tags = "".join(f"> <{tag}>\n{value}\n\n" for tag, value in labels.items())
            entries.append(entry.removesuffix("$$$$\n") + tags + "$$$$\n")
    return "".join(entries)


def main(
    source: Path, folder: Path, limit: int | None, is_checked: bool, is_multitask: bool, unlabelled: Path | None
) -> None:
    """Write the table and the study file, then import every molecule of the files."""
    molecules: Molecules = {}
    entries = read_entries(source, "", limit, is_multitask, molecules)
    if unlabelled:
        entries += read_entries(unlabelled, "u-", limit, is_multitask, molecules)
    write_text(folder / "table.sdf", entries)
    example = next(iter(molecules))
    study = write_study(folder, example, "multitask" if is_multitask else "study", is_main=True)
    for name in OF_A_NUMBER if is_multitask else FURTHER:
        write_study(folder, example, name)
    store, num_imported = Store(study.store), 0
    for row in build_index(study.molecules, study.folder / "plan" / "rows", print).to_dict("records"):
        if row["status"] != "ok":
            print(row["id"], row["status"], row["message"])
            continue
        (block,) = read_molblocks(study.molecules.table, [int(row["sdf_offset"])])
        molecule = Molecule(row["key"], row["smiles"], int(row["charge"]), int(row["multiplicity"]), block)
        recipe = molecule_recipes(study, molecule.key, str(row["geometry"]))["wavefunction"]
        if store.has("wavefunction", molecule.key, recipe):
            continue
        found, sha256, file = molecules[str(row["id"])]
        if is_checked:
            given = read_given_geometry(str(block), molecule.smiles)
            numbers, geometries = atomic_numbers_of(given.molecule), given.geometry_bohr[None]
            record = import_for_study(study, molecule, recipe, numbers, geometries, foreign(found, sha256), file)
        else:
            record = unchecked(study, molecule, recipe, found, foreign(found, sha256))
        store.save("wavefunction", record)
        num_imported += 1
    print(f"{num_imported} wavefunctions imported of {len(molecules)}; study file: {folder / 'study.yaml'}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--limit", type=int, help="only so many molecules")
    parser.add_argument("--unchecked", action="store_true", help="leave the Fock build out")
    parser.add_argument("--multitask", action="store_true", help="networks that learn computed properties, too")
    parser.add_argument("--unlabelled", type=Path, metavar="FILE2.h5", help="molecules without a label, too")
    asked = parser.parse_args()
    main(asked.file, asked.folder.resolve(), asked.limit, not asked.unchecked, asked.multitask, asked.unlabelled)
