r"""Fields that follow from the density, its derivatives and the orbitals at the same point.

Quotients are formed where rho > DILUTE; in thinner density, where they are noise over noise, the field is zero.
"""

from math import pi

import torch

from decar.fields.density import Intermediates

DILUTE = 1e-5  # [e/bohr^3]
FERMI = 0.3 * (3 * pi * pi) ** (2 / 3)  # tau of the uniform electron gas: FERMI rho^(5/3)
GRADIENT_SCALE = 2 * (3 * pi * pi) ** (1 / 3)


def electron_density(local: Intermediates) -> torch.Tensor:
    """Return rho, (1, ...) [e/bohr^3]."""
    return local.density[None]


def spin_density(local: Intermediates) -> torch.Tensor:
    """Return rho_alpha - rho_beta, (1, ...) [e/bohr^3]."""
    return local.weighted["spin"][None]


def density_gradient(local: Intermediates) -> torch.Tensor:
    """Return grad rho, (3, ...) [e/bohr^4]."""
    return local.gradient


def density_gradient_norm(local: Intermediates) -> torch.Tensor:
    """Return |grad rho|, (1, ...) [e/bohr^4]."""
    return local.slope[None]


def density_laplacian(local: Intermediates) -> torch.Tensor:
    """Return the Laplacian of rho, (1, ...) [e/bohr^5]."""
    return local.laplacian[None]


def kinetic_energy_density(local: Intermediates) -> torch.Tensor:
    """Return tau = 1/2 sum_i n_i |grad psi_i|^2, (1, ...) [hartree/bohr^3]."""
    return local.kinetic[None]


def electron_localisation(local: Intermediates) -> torch.Tensor:
    """Return ELF = 1 / (1 + (D / D_0)^2), D = tau - |grad rho|^2 / (8 rho), D_0 = FERMI rho^(5/3), (1, ...)."""
    pauli = (local.kinetic - local.slope_square / (8 * local.density)).clamp_(min=0)
    ratio = pauli.div_(_uniform_gas(local))
    return _where_dense(ratio.square_().add_(1).reciprocal_(), local)


def localised_orbital_locator(local: Intermediates) -> torch.Tensor:
    """Return LOL = 1 / (1 + tau / (FERMI rho^(5/3))), (1, ...)."""
    return _where_dense((local.kinetic / _uniform_gas(local)).add_(1).reciprocal_(), local)


def reduced_density_gradient(local: Intermediates) -> torch.Tensor:
    """Return s = |grad rho| / (2 (3 pi^2)^(1/3) rho^(4/3)), (1, ...)."""
    scale = (local.density * local.cube_root).mul_(GRADIENT_SCALE)
    return _where_dense(local.slope / scale, local)


def highest_occupied_density(local: Intermediates) -> torch.Tensor:
    """Return |psi|^2 of the highest occupied orbital, with norm one, (1, ...) [e/bohr^3]."""
    return local.weighted["highest_occupied"][None]


def lowest_empty_density(local: Intermediates) -> torch.Tensor:
    """Return |psi|^2 of the lowest empty orbital, with norm one, (1, ...) [e/bohr^3]."""
    return local.weighted["lowest_empty"][None]


def local_ionisation_energy(local: Intermediates) -> torch.Tensor:
    """Return sum_i rho_i |e_i| / rho, rho_i the density of the electrons in orbital i of energy e_i, (1, ...)."""
    return _where_dense(local.weighted["ionisation"] / local.density, local)


def _uniform_gas(local: Intermediates) -> torch.Tensor:
    gas: torch.Tensor = (local.density * local.cube_root).mul_(local.cube_root).mul_(FERMI)
    return gas


def _where_dense(values: torch.Tensor, local: Intermediates) -> torch.Tensor:
    return torch.where(local.density > DILUTE, values, 0.0)[None]
