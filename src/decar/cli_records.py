"""Look into records and hand them on: `decar show`, `decar export`, `decar verify`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from decar.errors import DataFormatError, DecarError

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


@app.command(rich_help_panel=PANEL)
def verify(folder: Annotated[Path, typer.Argument(help="A store, a study's results, or one file.")]) -> None:
    """Check records and shards: readable, hashes right, shapes consistent, every value finite."""
    from rich.progress import track

    from decar.verify import verify_file

    files = sorted(folder.rglob("*.h5")) if folder.is_dir() else [folder]
    problems: list[str] = []
    for path in track(files, description="verifying", console=Console(stderr=True)):
        problems += [f"{path}: {problem}" for problem in verify_file(path)]
    for problem in problems:
        console.print(f"[red]{problem}[/]")
    if problems:
        raise DecarError(
            f"{len(problems)} problems in {len(files)} files", where=folder,
            remedy="delete the damaged files; the next run that needs one makes it anew",
        )  # fmt: skip
    console.print(f"{len(files)} files verified: hashes right, values finite")
