"""The tables of the attribute stage as figures read them, with the names of molecules."""

import pandas as pd

from decar.figures.sources import Sources, read_columns
from decar.figures.style import readable

ATOM_COLUMNS = ["key", "network", "rotation", "method", "atom", "heavy_atom", "group", "attribution"]
METHOD_NAMES = {
    "integrated_gradients": "integrated gradients", "occlusion": "occlusion", "grad_cam": "Grad-CAM",
}  # fmt: skip


def method_name(method: str) -> str:
    """Return a method as it is written in a figure."""
    return METHOD_NAMES.get(method, readable(method))


def heavy_atoms(sources: Sources, method: str) -> pd.DataFrame:
    """Return a row a molecule and heavy atom: key, atom, attribution, mean over folds and, of the first, rotations.

    Hydrogens are counted with the atom that bears them. In the order in which the molecules were explained.
    """
    atoms = read_columns(sources.attribution / "atoms.parquet", ATOM_COLUMNS)
    is_fold = atoms["network"].str.startswith("fold")
    own = atoms[(atoms["method"] == method) & is_fold & (atoms["atom"] >= 0)]
    merged = own.groupby(["key", "network", "rotation", "heavy_atom"], sort=False)["attribution"].sum()
    of_network = merged.groupby(["key", "network", "heavy_atom"], sort=False).mean()
    mean = of_network.groupby(["key", "heavy_atom"], sort=False).mean()
    return mean.reset_index().rename(columns={"heavy_atom": "atom"})


def names_of(sources: Sources) -> pd.DataFrame:
    """Return name (or id) and smiles of each molecule, by key."""
    index = read_columns(sources.index, ["id", "name", "key", "smiles", "status"])
    rows = index[index["status"] == "ok"].drop_duplicates("key").set_index("key")
    has_name = rows["name"].notna() & (rows["name"] != "")
    return rows.assign(name=rows["name"].where(has_name, rows["id"].astype(str)))[["name", "smiles"]]


def first_method(sources: Sources) -> str:
    """Return the method that maps are drawn of: integrated gradients where they were computed."""
    methods = list(read_columns(sources.attribution / "checks.parquet", ["method"])["method"].unique())
    return "integrated_gradients" if "integrated_gradients" in methods else str(methods[0])
