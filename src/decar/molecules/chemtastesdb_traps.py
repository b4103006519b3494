"""The traps of a table of tastants: what each row's structure and taste text hide, counted."""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rdkit import Chem

from decar.errors import InputMoleculeError
from decar.molecules.standardise import parse, standardise

MENTIONS_SWEET = re.compile(r"(?<!non-)(?<!non )sweet", re.IGNORECASE)
ORGANIC = {"H", "C", "N", "O", "S"}


@dataclass(frozen=True)
class ImportReport:
    """Counts of rows unless a name says structures; structures are unique parents (largest fragment), neutralised."""

    num_rows: int
    num_sweet: int
    num_unparsable: int
    num_with_stereocentre: int  # the neutral parent has a (potential) stereocentre
    num_flat: int  # of those, rows whose SMILES specifies none of them
    num_multi_fragment: int
    num_mixtures: int  # a second organic component at least half as large as the parent
    num_structures: int
    num_structures_charged: int  # without neutralisation
    num_dipolar_structures: int  # not neutralised: atoms of both signs, net charge zero (nitro groups and N-oxides too)
    num_zwitterion_structures: int  # of those, both signs on atoms that are no neighbours: true zwitterions
    num_conflicting_structures: int
    num_conflicting_rows: int
    num_mentions_sweet: int  # rows of another class whose taste text says "sweet" (not "non-sweet")
    num_clean_sweet: int  # structures without a conflict
    num_clean_other: int
    heavy_atoms_median: float  # over rows
    heavy_atoms_95_percent: float
    heavy_atoms_max: int
    elements: dict[str, int]  # other than H C N O S: number of rows

    def rows(self) -> list[tuple[str, str]]:
        """Return (what, count) for a printed table."""
        elements = ", ".join(f"{symbol} {count}" for symbol, count in self.elements.items())
        return [
            ("rows", f"{self.num_rows}"),
            ("  sweet / not sweet", f"{self.num_sweet} / {self.num_rows - self.num_sweet}"),
            ("  that cannot be read", f"{self.num_unparsable}"),
            ("rows with a stereocentre", f"{self.num_with_stereocentre}"),
            ("  of these, without any stereochemistry", f"{self.num_flat}"),
            ("rows of several fragments (salts, hydrates, mixtures)", f"{self.num_multi_fragment}"),
            ("  of these, mixtures: two organic components of comparable size", f"{self.num_mixtures}"),
            ("unique structures, as charged in the table", f"{self.num_structures_charged}"),
            ("  of these, with formal charges of both signs (nitro, N-oxide, ...)", f"{self.num_dipolar_structures}"),
            ("  of these, zwitterions: the charges on separate groups", f"{self.num_zwitterion_structures}"),
            ("unique structures, neutralised", f"{self.num_structures}"),
            ("structures with both labels", f"{self.num_conflicting_structures}"),
            ("  rows of these", f"{self.num_conflicting_rows}"),
            ("rows not of class sweet whose taste text says sweet", f"{self.num_mentions_sweet}"),
            (
                "clean set (structures without a conflict): sweet / other",
                f"{self.num_clean_sweet} / {self.num_clean_other}",
            ),
            (
                "heavy atoms: median / 95 % at most / largest",
                f"{self.heavy_atoms_median:g} / {self.heavy_atoms_95_percent:g} / {self.heavy_atoms_max}",
            ),
            ("elements beyond H C N O S (rows)", elements or "none"),
        ]


def count_traps(rows: Sequence[Mapping[str, str]]) -> ImportReport:
    """Count over rows with the columns smiles, sweet, taste; a row that cannot be read counts as that and no more."""
    readable, parents, charged = [], [], []
    for row in rows:
        try:
            parents.append(standardise(row["smiles"], "neutral"))
        except InputMoleculeError:
            continue
        charged.append(standardise(row["smiles"], "as_given"))
        readable.append(row)
    molecules = [parse(parent.smiles) for parent in parents]
    centres = [_centres(molecule) for molecule in molecules]
    labels: dict[str, set[str]] = defaultdict(set)
    for row, parent in zip(readable, parents, strict=True):
        labels[parent.smiles].add(row["sweet"])
    conflicting = {smiles for smiles, found in labels.items() if len(found) > 1}
    dipolar = {parent.smiles for parent in charged if parent.charge == 0 and _has_both_signs(parse(parent.smiles))}
    heavy = [parent.num_heavy_atoms for parent in parents] or [0]
    return ImportReport(
        num_rows=len(rows),
        num_sweet=sum(row["sweet"] == "1" for row in rows),
        num_unparsable=len(rows) - len(readable),
        num_with_stereocentre=sum(bool(found) for found in centres),
        num_flat=sum(bool(found) and not any(found) for found in centres),
        num_multi_fragment=sum(parent.num_fragments > 1 for parent in parents),
        num_mixtures=sum(parent.is_mixture for parent in parents),
        num_structures=len(labels),
        num_structures_charged=len({parent.smiles for parent in charged}),
        num_dipolar_structures=len(dipolar),
        num_zwitterion_structures=sum(_is_zwitterion(parse(smiles)) for smiles in dipolar),
        num_conflicting_structures=len(conflicting),
        num_conflicting_rows=sum(parent.smiles in conflicting for parent in parents),
        num_mentions_sweet=sum(row["sweet"] == "0" and bool(MENTIONS_SWEET.search(row["taste"])) for row in rows),
        num_clean_sweet=sum(found == {"1"} for found in labels.values()),
        num_clean_other=sum(found == {"0"} for found in labels.values()),
        heavy_atoms_median=float(np.median(heavy)),
        heavy_atoms_95_percent=float(np.percentile(heavy, 95)),
        heavy_atoms_max=max(heavy),
        elements=_elements(molecules),
    )


def _centres(molecule: Any) -> list[bool]:
    """Return, a potential tetrahedral stereocentre each, whether it is specified."""
    return [
        bool(found.specified != Chem.StereoSpecified.Unspecified)
        for found in Chem.FindPotentialStereo(molecule)
        if found.type == Chem.StereoType.Atom_Tetrahedral
    ]


def _has_both_signs(molecule: Any) -> bool:
    charges = [int(atom.GetFormalCharge()) for atom in molecule.GetAtoms()]
    return min(charges) < 0 < max(charges)


def _is_zwitterion(molecule: Any) -> bool:
    """Return whether a positive and a negative atom remain when pairs of charged neighbours are left aside."""
    free = set()
    for atom in molecule.GetAtoms():
        charge = atom.GetFormalCharge()
        if charge and not any(other.GetFormalCharge() * charge < 0 for other in atom.GetNeighbors()):
            free.add(charge > 0)
    return len(free) == 2


def _elements(molecules: Sequence[Any]) -> dict[str, int]:
    counts = Counter(symbol for molecule in molecules for symbol in {atom.GetSymbol() for atom in molecule.GetAtoms()})
    return {symbol: count for symbol, count in counts.most_common() if symbol not in ORGANIC}
