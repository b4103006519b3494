"""Records in and out: `decar show`, `decar export`, `decar import-wavefunction`, `decar verify`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from decar.errors import DataFormatError, DecarError

if TYPE_CHECKING:
    from decar.quantum.import_file import ForeignFile

PANEL = "Records"
app = typer.Typer()
console = Console(highlight=False)

RecordFile = Annotated[str, typer.Argument(help="A record of the store: FILE, or FILE:RECIPE for one in a pack.")]


@app.command(rich_help_panel=PANEL)
def show(record: RecordFile) -> None:
    """Print what a record holds: identity, level of theory, quality figures, arrays, provenance."""
    from rich.pretty import pretty_repr

    from decar.record import Place, read_record

    found = read_record(Place.parse(record))
    console.print(f"[bold]{found.kind}[/] record  {record}")
    console.print(f"recipe        {found.recipe}\ncontent hash  {found.content_hash}")
    console.print(pretty_repr(dict(found.metadata), max_width=110))
    if found.arrays:
        table = Table("array", "shape", "type", "least", "greatest", title="arrays", title_justify="left")
        for name, array in sorted(found.arrays.items()):
            low, high = (f"{array.min():.6g}", f"{array.max():.6g}") if array.size else ("", "")
            table.add_row(name, str(array.shape), str(array.dtype), low, high)
        console.print(table)
    console.print("[bold]provenance[/]")
    console.print(pretty_repr(dict(found.provenance), max_width=110))


@app.command(rich_help_panel=PANEL)
def export(
    record: RecordFile,
    conformer: Annotated[int, typer.Option(help="Conformer, from 0.")] = 0,
    molden: Annotated[Path | None, typer.Option(help="Write a Molden file.")] = None,
    fchk: Annotated[Path | None, typer.Option(help="Write a Gaussian formatted checkpoint file.")] = None,
    qcschema: Annotated[Path | None, typer.Option(help="Write QCSchema JSON.")] = None,
    cube: Annotated[str | None, typer.Option(help="Render this field (see `decar doctor`) into <field>.cube.")] = None,
    spacing: Annotated[float, typer.Option(help="Spacing of the cube [angstrom].")] = 0.2,
    padding: Annotated[float, typer.Option(help="Padding of the cube [angstrom].")] = 4.0,
) -> None:
    """Export a wavefunction record: Molden, fchk, QCSchema, or any field as a cube file, rendered now."""
    from decar.quantum.export import export_fchk, export_molden, export_qcschema
    from decar.quantum.wavefunction import Wavefunction
    from decar.record import Place, read_record

    found = read_record(Place.parse(record))
    if found.kind != "wavefunction":
        raise DataFormatError(
            "only wavefunction records can be exported", where=record, seen=found.kind, expected="wavefunction",
            remedy="take one of <store>/wavefunction/",
        )  # fmt: skip
    conformers = found.metadata["conformers"]
    if not 0 <= conformer < len(conformers):
        raise DataFormatError("no such conformer", where=record, seen=conformer, expected=f"0 to {len(conformers) - 1}")
    wavefunction = Wavefunction.from_record(found.arrays, conformers[conformer], f"{conformer}/")
    writers = ((molden, export_molden), (fchk, export_fchk), (qcschema, export_qcschema))
    for path, write in writers:
        if path is not None:
            write(wavefunction, path)
            console.print(f"wrote {path}")
    if cube is not None:
        from decar.fields.render import render_cube

        path = Path(f"{cube}.cube")
        render_cube(wavefunction, cube, spacing, padding, path)
        console.print(f"wrote {path}")
    if cube is None and not any(path for path, _ in writers):
        raise typer.BadParameter("say what to write: --molden, --fchk, --qcschema or --cube")


@app.command(name="import-wavefunction", rich_help_panel=PANEL)
def import_wavefunction(
    file: Annotated[Path, typer.Argument(help="fchk, molden, wfx, wfn, mwfn or mkl file of any program.")],
    study: Annotated[Path | None, typer.Option(help="Study file (YAML) that will use the wavefunction.")] = None,
    row: Annotated[str | None, typer.Option("--id", help="Identifier of the molecule in the study's table.")] = None,
    output: Annotated[Path | None, typer.Option(help="Without a study: the record to write, or a folder.")] = None,
    sdf: Annotated[Path | None, typer.Option(help="Append the geometry to this SDF, as a study's table.")] = None,
    method: Annotated[str | None, typer.Option(help="Method, where the file does not say it.")] = None,
    basis: Annotated[str | None, typer.Option(help="Orbital basis, where the file does not say it.")] = None,
    fitting_basis: Annotated[str | None, typer.Option(help="Basis of density fitting; none: exact integrals.")] = None,
    cartesian: Annotated[bool | None, typer.Option("--cartesian/--spherical", help="Kind of d functions.")] = None,
    quadrature_level: Annotated[int, typer.Option(help="Quadrature on which energy and orbitals are checked.")] = 3,
    solvent_dielectric: Annotated[float | None, typer.Option(help="Dielectric constant of C-PCM.")] = None,
    smiles: Annotated[str | None, typer.Option(help="Structure; without it bonds are told from distances.")] = None,
    charge: Annotated[int, typer.Option(help="Charge, where no SMILES says it.")] = 0,
    multiplicity: Annotated[int | None, typer.Option(help="2S+1; without it that of the occupations.")] = None,
    file_format: Annotated[str | None, typer.Option("--format", help="Format, where the name does not tell.")] = None,
    program: Annotated[str | None, typer.Option(help="Program, where the file does not name it.")] = None,
) -> None:
    """Bring in a wavefunction of another program, checked by one Fock build and marked as imported."""
    from decar.quantum.import_file import read_foreign
    from decar.threads import limit_threads

    if sum(target is not None for target in (study, output, sdf)) != 1 or (output is None) != (row is not None):
        raise typer.BadParameter("say where it goes: --study STUDY --id ID, --output RECORD, or --sdf TABLE --id ID")
    with limit_threads(int(os.environ.get("OMP_NUM_THREADS", "1"))):
        found = read_foreign(file, file_format, program)
        if sdf is not None and row is not None:
            path = sdf
            _append_geometry(sdf, row, found, smiles, charge)
        elif study is not None and row is not None:
            if any(option is not None for option in (method, basis, fitting_basis, cartesian, smiles, multiplicity)):
                raise typer.BadParameter("the study states level and molecule: leave these options out")
            path = _into_study(study, row, found, file)
        else:
            from decar.config import ContributionSettings
            from decar.quantum.import_level import stated_levels
            from decar.quantum.import_record import import_alone
            from decar.record import write_record

            levels = stated_levels(
                found, file, method=method, basis=basis, fitting_basis=fitting_basis, cartesian=cartesian,
                quadrature_level=quadrature_level, solvent_dielectric=solvent_dielectric,
            )  # fmt: skip
            record = import_alone(found, file, levels, smiles, charge, multiplicity, ContributionSettings())
            path = Path(output or "")
            path = path / f"{record.recipe}.h5" if path.is_dir() else path
            write_record(path, record)
    console.print(f"wrote {path}")


def _append_geometry(table: Path, row: str, found: "ForeignFile", smiles: str | None, charge: int) -> None:
    from decar.atomic import write_text
    from decar.quantum.import_molecule import sdf_entry, smiles_of_geometry

    smiles = smiles or smiles_of_geometry(found.atomic_numbers, found.geometry_bohr, charge)
    before = table.read_text(encoding="utf-8") if table.exists() else ""
    write_text(table, before + sdf_entry(row, smiles, found.atomic_numbers, found.geometry_bohr))


def _into_study(study: Path, row: str, found: "ForeignFile", file: Path) -> Path:
    from decar.config_file import load_study
    from decar.planning.imports import import_into_study
    from decar.store import Store

    settings = load_study(study)
    return Store(settings.store).save("wavefunction", import_into_study(settings, row, found, file))


@app.command(rich_help_panel=PANEL)
def verify(
    folder: Annotated[Path, typer.Argument(help="A store, a study's results, or one file.")],
    physics: Annotated[
        bool, typer.Option("--physics", help="Also build the Fock matrix of each wavefunction at its stated level.")
    ] = False,
) -> None:
    """Check records and shards: readable, hashes right, shapes consistent, every value finite, and the physics."""
    from rich.progress import track

    from decar.threads import limit_threads
    from decar.verify import verify_file

    files = sorted(folder.rglob("*.h5")) if folder.is_dir() else [folder]
    problems: list[str] = []
    with limit_threads(int(os.environ.get("OMP_NUM_THREADS", "1"))):
        for path in track(files, description="verifying", console=Console(stderr=True)):
            problems += [f"{path}: {problem}" for problem in verify_file(path, physics, console.print)]
    for problem in problems:
        console.print(f"[red]{problem}[/]")
    if problems:
        raise DecarError(
            f"{len(problems)} problems in {len(files)} files", where=folder,
            remedy="delete the damaged files; the next run that needs one makes it anew",
        )  # fmt: skip
    shown = ", orbitals solutions of their level" if physics else ""
    console.print(f"{len(files)} files verified: hashes right, values finite{shown}")
