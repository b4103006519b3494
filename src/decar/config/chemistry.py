"""From the table of molecules to voxels: structures, conformers, geometries, wavefunctions, fields, dataset."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from decar.config.section import Count, Name, Positive, Section


class LabelSettings(Section):
    """One property of the molecules, read from a column of the table; an empty cell is a missing value."""

    column: str = Field(description="Column of the table that holds the values.")
    kind: Literal["binary", "multiclass", "regression", "category"] = Field(
        "binary",
        description="What the values are. A `category` is any text (a source, a series); it is not learned, but holds "
        "molecules together in a split of the benchmark; a molecule with two of them has none.",
    )
    unit: str | None = Field(None, description="Unit of a regression property, for axes and tables.")


class MoleculesSettings(Section):
    """Which molecules: the table, its columns, and what is done to a structure before it is identified."""

    table: Path = Field(
        description="CSV, SMI or SDF file; an SDF with 3D coordinates skips conformers and optimisation."
    )
    id_column: str = Field("id", description="Column with the user's own identifier; must be unique.")
    name_column: str | None = Field("name", description="Column with a readable name, or null.")
    smiles_column: str = Field("smiles", description="Column with the SMILES.")
    multiplicity_column: str | None = Field(
        None, description="Column with the spin multiplicity 2S+1; without it the lowest one is taken."
    )
    labels: dict[Name, LabelSettings] = Field(default_factory=dict, description="Property name: where it is read from.")
    protonation: Literal["as_given", "neutral"] = Field(
        "neutral", description="`neutral`: charges of the parent are removed where protons allow it; `as_given`: kept."
    )
    on_conflict: Literal["drop_label", "mean", "error"] = Field(
        "drop_label",
        description="What happens when rows of one molecule carry different labels: the label is left out; a "
        "regression has the `mean` of its rows (others are left out); or it is an error.",
    )


class ConformersSettings(Section):
    """ETKDG v3 embedding, MMFF94s relaxation, pruning by RMSD, ranking by energy."""

    num_embeddings: Count = Field(20, description="Conformers embedded with ETKDG v3 (doi 10.1021/acs.jcim.0c00025).")
    rmsd_angstrom: Positive = Field(0.5, description="Heavy-atom RMSD below which two conformers are the same one.")
    ranking: Literal["gfn2-xtb", "mmff"] = Field("gfn2-xtb", description="Energy that ranks the conformers.")
    num_ranked: Count = Field(5, description="Conformers of lowest MMFF energy that are ranked with GFN2-xTB.")
    num_kept: Count = Field(1, description="Conformers of a molecule that go on; each is a sample of weight 1/k.")


class OptimiseSettings(Section):
    """Geometry optimisation, driven by geomeTRIC for every method (doi 10.1063/1.4952956)."""

    methods: tuple[Literal["mmff", "gfn2-xtb", "dft"], ...] = Field(
        ("gfn2-xtb",), description="Methods in order, each starting from the geometry of the one before; [] for none."
    )
    solvent: str | None = Field(
        None, description="ALPB solvent of GFN2-xTB (such as water), or null for the gas phase."
    )
    dispersion: Literal["d3bj"] | None = Field(
        "d3bj", description="Dispersion added to a `dft` optimisation: D3(BJ) (doi 10.1002/jcc.21759), or null."
    )
    max_steps: Count = Field(300, description="Steps of each method before the optimisation counts as not converged.")
    convergence: Literal["loose", "normal", "tight"] = Field(
        "normal", description="geomeTRIC criteria: GAU_LOOSE, GAU or GAU_TIGHT."
    )
    frame: Literal["principal_axes", "as_given"] = Field(
        "principal_axes", description="Orientation of the final geometry: principal axes of inertia, or untouched."
    )


class QuantumSettings(Section):
    """The level of theory of the wavefunction, and the engine that computes it."""

    backend: Literal["pyscf", "psi4"] = Field("pyscf", description="Quantum-chemistry engine.")
    device: Literal["cpu", "cuda"] = Field(
        "cpu", description="Where PySCF's SCF runs; `cuda` needs GPU4PySCF. Decides no number beyond rounding."
    )
    psi4_command: str | None = Field(
        None, description="Program that runs Psi4, or null for the `psi4` on PATH; decides no number."
    )
    scratch: Path | None = Field(
        None, description="Folder for the files of a running Psi4, or null for TMPDIR; it is emptied afterwards."
    )
    time_limit_minutes: Positive = Field(
        720.0, description="Time that a call of Psi4 may take before it counts as hung and is stopped."
    )
    method: str = Field("b3lyp", description="`hf` or a density functional (b3lyp is the VWN-RPA form of Gaussian).")
    basis: str = Field("6-31g*", description="Orbital basis set.")
    cartesian: bool = Field(True, description="Six Cartesian d functions (true) or five spherical ones (false).")
    fitting_basis: str | None = Field(
        "def2-universal-jkfit", description="Basis of density fitting, or null for exact integrals."
    )
    quadrature_level: Annotated[int, Field(ge=0, le=9)] = Field(
        2, description="PySCF grid level of the final quadrature."
    )
    convergence_hartree: Positive = Field(1e-6, description="Energy change at which the SCF is converged.")
    max_cycles: Count = Field(60, description="SCF cycles of one attempt of the rescue ladder.")
    solvent_dielectric: Positive | None = Field(None, description="Dielectric constant of C-PCM, or null for gas.")


class FieldsSettings(Section):
    """Which fields are computed, and on which voxel grid. Nothing is ever resized: the spacing is exactly this."""

    names: tuple[str, ...] = Field(
        ("electron_density", "promolecular_density"),
        min_length=1,
        description="Fields of the registry (`decar doctor`).",
    )
    spacing_angstrom: Positive = Field(0.35, description="Edge of a voxel, the same along x, y and z.")
    padding_angstrom: Annotated[float, Field(ge=0)] = Field(
        3.0, description="Least distance from a nucleus to the face of the box."
    )
    box: Literal["molecule"] | tuple[Count, Count, Count] = Field(
        "molecule", description="`molecule` (its extent and the padding), or a fixed number of voxels [nx, ny, nz]."
    )
    storage: Literal["float32", "float16"] = Field("float32", description="Number format of stored voxels.")
    write_cubes: bool = Field(False, description="Also write Gaussian cube files to results/<study>/cubes/.")


class SplitSettings(Section):
    """Cross-validation folds; members of one split group (first block of the InChIKey) never part."""

    scheme: Literal["random", "scaffold"] = Field(
        "random", description="`random` by group, or `scaffold`: molecules of one Murcko scaffold stay together."
    )
    num_folds: Annotated[int, Field(ge=2)] = Field(5, description="Folds; each molecule is tested once.")
    validation_fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        0.2, description="Share of the groups outside the test fold that stops training and picks the checkpoint."
    )


class DatasetSettings(Section):
    """Sharded HDF5: the molecules of one hash prefix share a file."""

    num_shards: Count = Field(16, description="Number of shards; a power of two.")
    splits: tuple[SplitSettings, ...] = Field(
        (SplitSettings(),), min_length=1, description="Splits that every model and baseline is evaluated on."
    )

    @model_validator(mode="after")
    def _power_of_two(self) -> Self:
        if self.num_shards & (self.num_shards - 1):
            raise ValueError(f"num_shards must be a power of two, not {self.num_shards}")
        if len({split.scheme for split in self.splits}) < len(self.splits):
            raise ValueError("each split scheme may stand only once")
        return self
