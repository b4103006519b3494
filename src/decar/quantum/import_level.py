"""The level of theory of a foreign file: stated by the user, else as far as the file says it.

Programs spell methods their own way, and one name means several functionals: Gaussian's B3LYP is `b3lyp` here, that of
ORCA and Turbomole `b3lyp5`. A name is only the claim; `import_determinant` shows by numbers whether it is true.
"""

from pathlib import Path

from decar.config import QuantumSettings
from decar.errors import DataFormatError
from decar.quantum.import_file import UNCONTRACTED, ForeignFile
from decar.quantum.level import FUNCTIONALS, Level, exact_functional

SPELLINGS = {"pbe1pbe": "pbe0", "pbepbe": "pbe", "tpsstpss": "tpss", "m062x": "m06-2x"}
SPIN_PREFIXES = ("ro", "r", "u", "")
CONVERGENCE_HARTREE = 1e-6  # what programs promise by default


def stated_levels(
    file: ForeignFile, path: Path, *, method: str | None, basis: str | None, fitting_basis: str | None,
    cartesian: bool | None, quadrature_level: int, solvent_dielectric: float | None,
) -> list[Level]:  # fmt: skip
    """Return the level of a file; two, spherical first, where only the orbitals tell the kind of its d functions.

    Raises DataFormatError where method or basis is neither stated nor in the file; ConfigError for a method that is not
    known here.
    """
    method = method.lower() if method else _method_of(file)
    basis = basis or file.basis_name
    if method is None or basis is None:
        missing = "method" if method is None else "basis"
        raise DataFormatError(
            f"the file does not say its {missing}", where=path,
            seen=f"{file.method or 'none'}/{file.basis_name or 'none'}", remedy=f"state it with --{missing}",
        )  # fmt: skip
    fitting = fitting_basis.lower() if fitting_basis else None
    return [
        Level(
            method, exact_functional(method), _starred(basis.lower()), fitting, kind, quadrature_level,
            CONVERGENCE_HARTREE, QuantumSettings().max_cycles, solvent_dielectric,
        )
        for kind in _kinds(file, cartesian)
    ]  # fmt: skip


def _starred(basis: str) -> str:
    """Return Pople's basis sets in one spelling: 6-31g(d) is 6-31g*, 6-31g(d,p) is 6-31g**."""
    return basis.replace("(d,p)", "**").replace("(d)", "*")


def _kinds(file: ForeignFile, cartesian: bool | None) -> list[bool]:
    if cartesian is not None:
        return [cartesian]
    if file.basis.angular_momentum.max() < 2:
        return [True]
    # Turbomole and Molpro compute with spherical functions and write molden files of Cartesian ones.
    is_open = file.format in UNCONTRACTED or (file.format == "molden" and file.basis.is_cartesian)
    return [False, True] if is_open else [file.basis.is_cartesian]


def _method_of(file: ForeignFile) -> str | None:
    """Return the method in this project's spelling, or None.

    Psi4 writes RHF for every restricted calculation; Q-Chem 5.2 writes R, and no method.
    """
    if file.method is None or (file.program == "Psi4" and file.method.lower() in {"rhf", "uhf", "rohf"}):
        return None
    if file.method.lower() in SPIN_PREFIXES:
        return None
    said = file.method.lower()
    for prefix in SPIN_PREFIXES:
        name = said.removeprefix(prefix)
        if said.startswith(prefix) and SPELLINGS.get(name, name) in FUNCTIONALS:
            return SPELLINGS.get(name, name)
    return said
