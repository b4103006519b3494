"""Identity: the names of a molecule that come from its chemistry, never from a row, a name or a spelling.

key = SHA-256 over (InChI with /FixedH /SUU /RecMet, charge, multiplicity, KEY_VERSION). The fixed-hydrogen layer keeps
tautomers and zwitterions apart, /SUU writes undefined stereocentres, /RecMet keeps bonds to metals. RDKit's canonical
SMILES is not used: it changes between versions. InChI: doi 10.1186/s13321-015-0068-4.
"""

import re
from dataclasses import dataclass
from typing import Any

from rdkit import Chem
from rdkit.Chem import rdinchi
from rdkit.Chem.Scaffolds import MurckoScaffold

from decar.errors import InputMoleculeError
from decar.molecules.standardise import Parent, parse
from decar.stages import digest

KEY_VERSION = 1  # bump it when the same molecule must get another key: every result is then computed anew
KEY_OPTIONS = "/FixedH /SUU /RecMet"
NO_AUXILIARY = " /AuxNone"  # leaves out the auxiliary information, which nobody reads: a tenth of the time


@dataclass(frozen=True)
class Identity:
    """Who a molecule is. `inchi` is the full, non-standard one of the key; `inchikey` the standard one."""

    key: str
    inchi: str
    inchikey: str
    split_group: str  # first block of the standard InChIKey: skeleton without stereochemistry, charge, isotopes
    scaffold: str  # Murcko SMILES without stereochemistry (doi 10.1021/jm9602928), "" for an acyclic molecule


def identify(parent: Parent, parsed: Any = None) -> Identity:
    """Return the identity of a standardised parent; raises InputMoleculeError (`no_inchi`).

    `parsed` is the molecule of its SMILES, where the caller has it already.
    """
    molecule = parse(parent.smiles) if parsed is None else parsed
    inchi = _inchi(molecule, KEY_OPTIONS, parent.smiles)
    inchikey = str(rdinchi.InchiToInchiKey(standard_part(inchi) or _inchi(molecule, "", parent.smiles)))
    return Identity(
        key=molecule_key(inchi, parent.charge, parent.multiplicity),
        inchi=inchi,
        inchikey=inchikey,
        split_group=inchikey[:14],
        scaffold=_scaffold(molecule),
    )


def standard_part(inchi: str) -> str | None:
    """Return the standard InChI that a full one contains, None where it has to be computed.

    The layers before /f are those of the standard InChI (InChI Technical Manual, section on the fixed-H layer), but for
    undefined stereocentres, which it leaves out where none is defined. Half of what a molecule costs. Isotopes, metals
    and partly defined stereochemistry are left to InChI.
    """
    version, *layers = inchi.partition("/f")[0].split("/")
    stereo = [layer for layer in layers if layer[:1] in {"b", "t"}]
    elements = [element for layer in stereo for element in re.split("[,;]", layer[1:]) if element]
    num_undefined = sum(element.endswith("?") for element in elements)
    if "/r" in inchi or any(layer.startswith("i") for layer in layers) or num_undefined not in {0, len(elements)}:
        return None
    kept = [layer for layer in layers if not (num_undefined and layer in stereo)]
    return "/".join([f"{version}S", *kept])


def _scaffold(molecule: Any) -> str:
    if not molecule.GetRingInfo().NumRings():
        return ""
    return str(Chem.MolToSmiles(MurckoScaffold.GetScaffoldForMol(molecule), isomericSmiles=False))  # type: ignore[no-untyped-call]


def molecule_key(inchi: str, charge: int, multiplicity: int) -> str:
    """Return the key of a full InChI, charge and multiplicity."""
    return digest({"inchi": inchi, "charge": charge, "multiplicity": multiplicity, "key_version": KEY_VERSION})


def _inchi(molecule: Any, options: str, smiles: str) -> str:
    # rdinchi directly: the wrapper in rdkit.Chem prints warnings (such as "Omitted undefined stereo") to stderr.
    inchi, status, message, *_ = rdinchi.MolToInchi(molecule, options + NO_AUXILIARY)
    if not inchi or status > 1:
        raise InputMoleculeError(
            f"InChI cannot name the structure: {message or 'no message'}",
            reason="no_inchi",
            where=smiles,
            remedy="draw the structure with ordinary bonds, or leave the molecule out",
        )
    return str(inchi)
