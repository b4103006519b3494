"""Normalisation: what a network sees of a field.

    n(x) = t(x) / s,    t(x) = sign(x) ln(1 + |x| / x0)      scalars
                        t(v) = (v / |v|) ln(1 + |v| / x0)    vectors, which so turn with their molecule

t is linear below the reference value x0 of the field's unit and logarithmic above it, so that the valence region is not
drowned by the nuclei (rho spans 1e-6 to 1e2 e/bohr^3); for fields of either sign it is odd, like asinh. s is the root
mean square of t over the voxels of the training molecules. Nothing is subtracted: vacuum (x = 0) stays exactly 0, so
that the padding of a batch, the zero padding of a convolution and the space outside a box are the same thing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from decar.errors import DataFormatError

# Value of each unit at which the scale turns from linear to logarithmic. Densities, their slope and kinetic energy:
# half of the usual molecular surface (0.002 e/bohr^3); potential and electric field: a typical value on that surface;
# ionisation energies and what has no unit: below what the fields are inside a molecule.
REFERENCE = {
    "e/bohr^3": 1e-3, "e/bohr^4": 1e-3, "e/bohr^5": 1e-2, "hartree/bohr^3": 1e-3, "hartree/e": 1e-2,
    "hartree/(e bohr)": 1e-2, "hartree": 1e-1, "1": 1e-1,
}  # fmt: skip
VACUUM = 0.0


def reference_value(unit: str) -> float:
    """Return x0 of a field's unit; raises DataFormatError for a unit without one."""
    if unit not in REFERENCE:
        raise DataFormatError(
            "no reference value is known for the unit of this field", seen=unit, expected=sorted(REFERENCE),
            remedy="add it to REFERENCE of decar/dataset/normalise.py",
        )  # fmt: skip
    return REFERENCE[unit]


def compress(field: Tensor, reference: float) -> Tensor:
    """Return t of a field [channel, x, y, z]: a vector where it has three channels, else scalars; in its type."""
    if len(field) == 3:
        norm = field.square().sum(dim=0)
        norm.sqrt_().clamp_(min=torch.finfo(norm.dtype).tiny)
        return field * (norm / reference).log1p_().div_(norm)
    return field.abs().div_(reference).log1p_().copysign_(field)


@dataclass(frozen=True)
class FieldNormalisation:
    """Constants of one field: x0 [unit], and s (dimensionless) from the training molecules."""

    field: str
    unit: str
    reference: float
    scale: float


@dataclass(frozen=True)
class Normalisation:
    """The input fields of a network in order."""

    fields: tuple[FieldNormalisation, ...]

    def apply(self, fields: Mapping[str, Tensor]) -> Tensor:
        """Return n of each field, joined along the channels: [channel, x, y, z], float32."""
        return torch.cat([
            compress(fields[entry.field].float(), entry.reference).div_(entry.scale) for entry in self.fields
        ])  # fmt: skip

    def to_json(self) -> list[dict[str, Any]]:
        """Return a JSON-able form."""
        return [asdict(entry) for entry in self.fields]

    @classmethod
    def from_json(cls, entries: Sequence[Mapping[str, Any]]) -> "Normalisation":
        """Build from `to_json`."""
        return cls(tuple(FieldNormalisation(**entry) for entry in entries))
