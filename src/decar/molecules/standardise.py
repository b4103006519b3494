"""Standardise a structure: the parent that is computed, without salts and, where asked for, without charges.

parent = largest fragment that contains carbon (most atoms, hydrogens counted; without carbon: the largest one), then,
with `protonation: neutral`, protons are added or removed until no charge is left that protons can carry
(rdMolStandardize, doi 10.1186/s13321-020-00456-1). Stereochemistry, isotopes, tautomers and covalently drawn metals
stay as they were written: RDKit's `Cleanup` is not applied, because it cuts every metal bond.
"""

import re
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from rdkit import Chem, rdBase
from rdkit.Chem import rdMolDescriptors
from rdkit.Chem.MolStandardize import rdMolStandardize

from decar.errors import InputMoleculeError
from decar.molecules.rdkit_log import complaint

# Queries, not loops over atoms: a loop in Python costs as much as the InChI of a third of the molecule.
PLACEHOLDER = Chem.MolFromSmarts("[#0]")
CHARGED = Chem.MolFromSmarts("[!+0]")
COUNTED = re.compile(r"([A-Z][a-z]?)(\d*)")  # an element of a formula, and how often
MIXTURE_SHARE = 0.5  # a second organic component of at least this share of the parent's heavy atoms is no counter-ion


@dataclass(frozen=True)
class Parent:
    """The structure that stands for a row of the table, and what was done to get it."""

    smiles: str  # RDKit's isomeric SMILES
    charge: int
    multiplicity: int  # 2S + 1
    num_heavy_atoms: int
    formula: str
    num_fragments: int  # of the structure as written
    is_changed: bool  # fragments were removed or protons moved
    is_mixture: bool  # a different, organic fragment of comparable size was removed: which one tastes is unknown
    removed: tuple[str, ...]  # SMILES of the removed fragments, as written, sorted


def standardise(
    structure: str | Any, protonation: Literal["as_given", "neutral"], multiplicity: int | None = None
) -> Parent:
    """Return the parent of a SMILES or of an RDKit molecule.

    `multiplicity` defaults to the lowest that the number of electrons allows: 1 for an even one, 2 for an odd one.
    Raises InputMoleculeError with the reason `unparsable`, `placeholder_atom` or `impossible_multiplicity`.
    """
    return standardised(structure, protonation, multiplicity)[0]


def standardised(
    structure: str | Any, protonation: Literal["as_given", "neutral"], multiplicity: int | None = None
) -> tuple[Parent, Any]:
    """Return the parent (see `standardise`) and the RDKit molecule of its SMILES."""
    written = parse(structure) if isinstance(structure, str) else structure
    _refuse_placeholders(written, structure)
    fragment, num_fragments, removed, is_mixture = _largest_fragment(written)
    parent = _neutral(fragment) if protonation == "neutral" else fragment
    # Through SMILES, because this is what every later stage reads: centres that lost their meaning go now.
    smiles = Chem.MolToSmiles(parent)
    parent = parse(smiles)
    final, formula = Chem.MolToSmiles(parent), rdMolDescriptors.CalcMolFormula(parent)
    found = Parent(
        smiles=final,
        charge=Chem.GetFormalCharge(parent),
        multiplicity=_multiplicity(parent, formula, multiplicity),
        num_heavy_atoms=parent.GetNumHeavyAtoms(),
        formula=formula,
        num_fragments=num_fragments,
        is_changed=num_fragments > 1 or _atoms_and_charges(fragment) != _atoms_and_charges(parent),
        is_mixture=is_mixture,
        removed=removed,
    )
    return found, parent if final == smiles else parse(final)


def parse(smiles: str) -> Any:
    """Return the sanitised RDKit molecule of a SMILES; nothing is printed.

    Raises InputMoleculeError (`unparsable`) that carries RDKit's own message.
    """
    with rdBase.BlockLogs():
        molecule = Chem.MolFromSmiles(smiles.strip())
    if molecule is None or molecule.GetNumAtoms() == 0:
        raise InputMoleculeError(
            f"the structure cannot be read: {_complaint(smiles.strip())}",
            reason="unparsable",
            seen=repr(smiles),
            expected="a valid SMILES",
            remedy="correct the SMILES in its row of the table",
        )
    return molecule


def _complaint(smiles: str) -> str:
    if smiles.startswith("(the SDF"):  # the place holder of an SDF entry that could not be read (module sdf)
        return smiles.strip("()")
    with rdBase.CaptureErrorLog() as log:
        Chem.MolFromSmiles(smiles)
    return complaint(log.messages) or "it has no atoms"


def _refuse_placeholders(molecule: Any, structure: object) -> None:
    if not molecule.HasSubstructMatch(PLACEHOLDER):
        return
    for atom in molecule.GetAtoms():
        if atom.GetAtomicNum() == 0:
            raise InputMoleculeError(
                "the structure has a placeholder atom (*, R)",
                reason="placeholder_atom",
                where=f"atom {atom.GetIdx()}",
                seen=repr(structure) if isinstance(structure, str) else Chem.MolToSmiles(molecule),
                expected="elements only",
                remedy="write out the group that the placeholder stands for",
            )


def _largest_fragment(molecule: Any) -> tuple[Any, int, tuple[str, ...], bool]:
    """Return the largest fragment, how many there were, the others, and whether it was a mixture."""
    if len(Chem.GetMolFrags(molecule)) == 1:
        return molecule, 1, (), False
    fragments = Chem.GetMolFrags(molecule, asMols=True)
    with rdBase.BlockLogs():
        parent = rdMolStandardize.LargestFragmentChooser(preferOrganic=True).choose(molecule)
    name = Chem.MolToSmiles(parent)
    others = [(Chem.MolToSmiles(fragment), fragment) for fragment in fragments]
    others.pop(next(i for i, (smiles, _) in enumerate(others) if smiles == name))
    limit = MIXTURE_SHARE * parent.GetNumHeavyAtoms()
    is_mixture = any(
        smiles != name and fragment.GetNumHeavyAtoms() >= limit and _has_carbon(fragment) for smiles, fragment in others
    )
    return parent, len(fragments), tuple(sorted(smiles for smiles, _ in others)), is_mixture


def _neutral(molecule: Any) -> Any:
    if not molecule.HasSubstructMatch(CHARGED):
        return molecule
    with rdBase.BlockLogs():
        return rdMolStandardize.Uncharger().uncharge(molecule)


def _atoms_and_charges(molecule: Any) -> tuple[int, list[int]]:
    """Return the number of atoms, and the charges of those that have one, sorted."""
    charged = molecule.GetSubstructMatches(CHARGED, maxMatches=molecule.GetNumAtoms())
    return molecule.GetNumAtoms(), sorted(molecule.GetAtomWithIdx(i).GetFormalCharge() for (i,) in charged)


def _has_carbon(molecule: Any) -> bool:
    return any(atom.GetAtomicNum() == 6 for atom in molecule.GetAtoms())


@cache
def _atomic_number(symbol: str) -> int:
    return int(Chem.GetPeriodicTable().GetAtomicNumber(symbol))


def num_protons(formula: str) -> int:
    """Return the number of protons of a molecular formula (RDKit's, whose hydrogens include isotopes)."""
    neutral = re.split("[+-]", formula, maxsplit=1)[0]
    return sum(_atomic_number(symbol) * int(count or 1) for symbol, count in COUNTED.findall(neutral))


def _multiplicity(molecule: Any, formula: str, asked: int | None) -> int:
    num_electrons = num_protons(formula) - int(Chem.GetFormalCharge(molecule))
    lowest = 1 + num_electrons % 2
    if asked is None:
        return lowest
    if asked < 1 or asked % 2 != lowest % 2 or asked > num_electrons + 1:
        raise InputMoleculeError(
            f"{num_electrons} electrons cannot have the multiplicity {asked}",
            reason="impossible_multiplicity",
            where=Chem.MolToSmiles(molecule),
            seen=asked,
            expected=f"{lowest}, {lowest + 2}, ...",
            remedy="correct the multiplicity (2S+1) in its row of the table, or leave it empty",
        )
    return asked
