r"""Converge a Kohn-Sham SCF on a fine quadrature at little more than the price of a coarse one.

Most of the time of a density-fitted hybrid SCF is the exchange-correlation quadrature, and a coarse grid has a tenth of
the points of the final one. The cycles therefore run on the coarse grid, its error at a nearby density D0 put right:

    E_xc[D] ~ E_c[D] + (E_f[D0] - E_c[D0]) + tr (V_f[D0] - V_c[D0]) (D - D0),

and V_xc as its derivative: the deferred correction of multigrid methods (doi 10.1090/S0025-5718-1977-0431719-X). The
fine grid is visited once a round. A round ends the SCF when the orbital gradient *on the fine grid* and the difference
of the fine energy from the model's fulfil the criteria that PySCF's own SCF applies, so the result is the fine grid's:
E and F are evaluated there.
"""

import copy
from collections.abc import Callable
from typing import Any

import numpy as np

from decar.quantum.pyscf_library import dft, lib
from decar.quantum.wavefunction import Floats

COARSE_LEVEL = 0
MAX_ROUNDS = 6
LOOSE = 100.0  # the first round's energy criterion over the final one
TIGHT = 0.3  # the gradient criterion on the coarse grid over that on the fine one, so that the second visit passes


class _CorrectedQuadrature(dft.numint.NumInt):  # type: ignore[misc] # PySCF has no type information
    """Quadrature on a coarse grid plus the constant, linear correction of the module's formula."""

    density: Floats | float = 0.0  # D0, (function, function) or (spin, function, function)
    potential: Floats | float = 0.0  # V_f[D0] - V_c[D0]
    energy: float = 0.0  # E_f[D0] - E_c[D0]

    def __init__(self) -> None:
        super().__init__()
        self.coarse = {
            "nr_rks": _of_last_density(super().nr_rks, 3),
            "nr_uks": _of_last_density(super().nr_uks, 3),
        }

    # The option that PySCF gives is the memory that is free just now: blocks, and so the rounding, would depend on it.
    def nr_rks(self, mol: Any, grids: Any, xc: str, dms: Any, **_: Any) -> Any:
        return self._corrected(self.coarse["nr_rks"](mol, grids, xc, dms), dms)

    def nr_uks(self, mol: Any, grids: Any, xc: str, dms: Any, **_: Any) -> Any:
        return self._corrected(self.coarse["nr_uks"](mol, grids, xc, dms), dms)

    def _corrected(self, result: Any, density: Any) -> Any:
        number, energy, potential = result
        change = np.asarray(density) - self.density
        return number, energy + self.energy + float(np.sum(self.potential * change)), potential + self.potential


def _of_last_density(evaluate: Callable[..., Any], place: int) -> Callable[..., Any]:
    """Return `evaluate` with a memory of its last call: cycles, rounds and visits meet at one density.

    `place` is that of the density among the arguments. A result is copied: PySCF scales exchange in place.
    """
    last: dict[object, tuple[Any, Any]] = {}  # density and result, by the other options

    def remembered(*arguments: Any, **options: Any) -> Any:
        density, asked = np.asarray(arguments[place]), (*arguments[place + 1 :], *sorted(options.items()))
        if asked not in last or not np.array_equal(last[asked][0], density):
            last[asked] = density.copy(), evaluate(*arguments, **options)
        return copy.deepcopy(last[asked][1])

    return remembered


def converge(mf: Any, density: Any, quadrature_level: int) -> tuple[int, float | None]:
    """Run the SCF of a mean-field object, with whatever aids it is set to, from a density (None: its own guess).

    On return `mf` holds the orbitals and `mf.converged`, its grid the final one. Returns the number of cycles and the
    electron count on the fine grid (None where it was not visited). Hartree-Fock needs no quadrature and runs as it is.
    """
    if not hasattr(mf, "xc"):
        mf.kernel(dm0=density)
        return int(mf.cycles), None
    settings = {name: getattr(mf, name) for name in ("max_cycle", "conv_tol", "conv_tol_grad", "conv_check")}
    fine, model = make_grids(mf.mol, quadrature_level), _CorrectedQuadrature()
    mf.grids, mf._numint = make_grids(mf.mol, min(COARSE_LEVEL, quadrature_level)), model
    mf.get_jk = _of_last_density(mf.get_jk, 1)
    # PySCF's check after convergence would be one more evaluation: the fine grid checks instead.
    mf.conv_check = False
    cycles, count = 0, None
    try:
        for number in range(MAX_ROUNDS):
            mf.max_cycle = settings["max_cycle"] - cycles
            mf.conv_tol = settings["conv_tol"] * (1.0 if number else LOOSE)
            mf.conv_tol_grad = np.sqrt(mf.conv_tol) * TIGHT
            mf.kernel(dm0=density)
            cycles += int(mf.cycles)
            if not mf.converged or not np.isfinite(mf.e_tot):
                mf.converged = False
                break
            density = mf.make_rdm1()
            mf.converged, count = _visit_fine_grid(mf, model, fine, density, settings["conv_tol"])
            if mf.converged or cycles >= settings["max_cycle"]:
                break
    finally:
        del mf.get_jk  # the method of its class is back
        mf.grids, mf._numint = fine, dft.numint.NumInt()
        for name, value in settings.items():
            setattr(mf, name, value)
    return cycles, count


def _visit_fine_grid(
    mf: Any, model: _CorrectedQuadrature, fine: Any, density: Any, tolerance: float
) -> tuple[bool, float]:
    """Move the correction to this density; say whether the fine grid agrees with what the model converged to.

    Returns also the electron count on the fine grid.

    If it does, the orbitals become those of the fine Fock matrix within the occupied and the empty space: the density
    stays, its energy is the fine one, and orbital energies are the fine ones.
    """
    name = "nr_uks" if np.ndim(density) == 3 else "nr_rks"
    _, coarse_energy, coarse_potential = model.coarse[name](mf.mol, mf.grids, mf.xc, density)
    counts, fine_energy, fine_potential = getattr(dft.numint.NumInt(), name)(mf.mol, fine, mf.xc, density)
    is_first_round = not np.ndim(model.density)
    model.density = np.array(density)
    model.potential = np.asarray(fine_potential) - np.asarray(coarse_potential)
    model.energy = float(fine_energy - coarse_energy)
    count = float(np.sum(counts))
    core = mf.get_hcore()
    field = mf.get_veff(mf.mol, density)  # the model is exact here: this is the fine grid's
    energy = float(mf.energy_tot(density, core, field))
    fock = mf.get_fock(core, mf.get_ovlp(), field, density)
    gradient = float(np.linalg.norm(mf.get_grad(mf.mo_coeff, mf.mo_occ, fock)))
    has_settled = not is_first_round and abs(energy - mf.e_tot) < tolerance
    if gradient > np.sqrt(tolerance) or not has_settled:
        return False, count
    mf.e_tot = energy
    mf.mo_energy, mf.mo_coeff = mf.canonicalize(mf.mo_coeff, mf.mo_occ, fock)
    return True, count


def make_grids(mole: Any, quadrature_level: int) -> Any:
    """Return PySCF's atom-centred grid (Becke, Treutler-Ahlrichs, Lebedev) of a level, built when first used."""
    grids = dft.gen_grid.Grids(mole)
    grids.level = quadrature_level
    return grids


def num_electrons(mole: Any, density: Any, quadrature_level: int) -> float:
    """Return the electron count, the sum of w_g rho(r_g) over the atom-centred quadrature."""
    grids = make_grids(mole, quadrature_level).build()
    if np.ndim(density) == 3:  # both spins; tags of one spin's orbitals are dropped
        density = np.asarray(density[0]) + np.asarray(density[1])
    rho = dft.numint.NumInt().get_rho(mole, lib.asarray(density), grids, max_memory=mole.max_memory)
    return float(rho @ grids.weights)
