"""Recipes: the identity of a result before it is computed.

recipe(stage) = SHA-256 over the molecule's key, the settings that decide the stage's numbers, STAGE_VERSION[stage], and
the recipe of the stage it is made from. Program versions, threads, batch sizes and paths are provenance, not identity.
"""

import hashlib
from collections.abc import Callable
from typing import Any

from decar.config import Study
from decar.record import canonical_json

MOLECULE_STAGES = ("conformers", "optimise", "wavefunction", "fields")

# Bump the number of a stage whose results change; everything made by it and after it is then computed again.
STAGE_VERSION = {
    "molecules": 1,
    "conformers": 1,
    "optimise": 1,
    "wavefunction": 1,
    "fields": 3,
    "shards": 1,
    "train": 7,
    "evaluate": 1,
    "interpret": 2,
    "attribute": 3,
    "figures": 8,
}

# Settings of an engine that decide no number.
WHERE_AND_HOW_LONG = {"device", "psi4_command", "scratch", "time_limit_minutes"}


def digest(value: object) -> str:
    """Return the SHA-256 of a JSON-able value's canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def derive_seed(*parts: object) -> int:
    """Return a 31-bit seed derived from the study seed and whatever names the place (stage, key, epoch, ...)."""
    return int(digest([str(part) for part in parts])[:8], 16) & 0x7FFFFFFF


def stage_settings(study: Study, stage: str) -> dict[str, Any]:
    """Return the settings of the study that decide the numbers of one per-molecule stage."""
    match stage:
        case "conformers":
            # GFN2-xTB ranks, and gives a brought geometry its energy, in the solvent of the optimisation that follows.
            solvent = study.optimise.solvent
            return {"seed": study.seed, "solvent": solvent, **study.conformers.model_dump(mode="json")}
        case "optimise":
            settings = study.optimise.model_dump(mode="json")
            if "dft" in study.optimise.methods:
                settings["quantum"] = stage_settings(study, "wavefunction")
            else:
                del settings["dispersion"]
            return settings
        case "wavefunction":
            return study.quantum.model_dump(mode="json", exclude=WHERE_AND_HOW_LONG)
        case "fields":
            return study.fields.model_dump(mode="json", exclude={"write_cubes"})
    raise ValueError(f"{stage!r} is not one of {MOLECULE_STAGES}")


def stage_recipe(stage: str, settings: dict[str, Any], key: str, parent: str) -> str:
    """Return the recipe of one molecule at one stage; `parent` is the recipe of the stage before ("" for the first)."""
    return digest({"stage": stage, "version": STAGE_VERSION[stage], "settings": settings, "key": key, "parent": parent})


def recipe_function(stage: str, settings: dict[str, Any]) -> Callable[[str, str], str]:
    """Return `stage_recipe` as a function of key and parent: the settings become JSON once, for a million molecules."""
    rest = canonical_json({"settings": settings, "stage": stage, "version": STAGE_VERSION[stage]})[1:]
    sha256 = hashlib.sha256

    def recipe(key: str, parent: str) -> str:
        # Hexadecimal digits need no escape, and "key" < "parent" < "settings" in the order of canonical JSON.
        return sha256(f'{{"key":"{key}","parent":"{parent}",{rest}'.encode()).hexdigest()

    return recipe


def settings_digests(study: Study) -> dict[str, str]:
    """Return for each per-molecule stage the digest of what its recipes hash beside the molecules, from the first on.

    Recipes of two lists of molecules are the same if these digests, the keys and the brought geometries are.
    """
    digests: dict[str, str] = {}
    before = ""
    for stage in MOLECULE_STAGES:
        before = digests[stage] = digest([stage, STAGE_VERSION[stage], stage_settings(study, stage), before])
    return digests


def molecule_recipes(study: Study, key: str, geometry_hash: str = "") -> dict[str, str]:
    """Return the recipes of all per-molecule stages, in order.

    `geometry_hash` names a geometry that the user brought, and is empty without one.
    """
    recipes: dict[str, str] = {}
    parent = geometry_hash
    for stage in MOLECULE_STAGES:
        parent = recipes[stage] = stage_recipe(stage, stage_settings(study, stage), key, parent)
    return recipes
