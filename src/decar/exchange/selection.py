"""Which records go into a bundle: by stage, molecule, licence, and by what a study uses."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from decar.errors import ConfigError, DataFormatError
from decar.exchange.catalogue import Catalogue, Entry
from decar.schema import KIND_OF_STAGE
from decar.store import Store

# Voxels can be rendered from the wavefunctions, and are a thousand times as large.
DEFAULT_STAGES = ("conformers", "optimise", "wavefunction")


@dataclass(frozen=True)
class Selection:
    """What is asked for; an empty choice of keys or licences means any."""

    stages: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()  # beginnings of keys
    licences: tuple[str, ...] = ()  # of the molecule's wavefunction
    with_failures: bool = False


def select(
    store: Store, catalogue: Catalogue, wanted: Selection, is_used: Callable[[str, str], bool]
) -> Iterator[Entry]:
    """List the store in `catalogue` and return the entries that are wanted, by stage and key.

    A licence is stated by wavefunctions; the geometries of a molecule go with them. Raises ConfigError for a stage that
    does not exist, DataFormatError for a file of the store that cannot be read.
    """
    stages = wanted.stages or DEFAULT_STAGES
    unknown = sorted(set(stages) - set(KIND_OF_STAGE))
    if unknown:
        raise ConfigError("no such stage", seen=", ".join(unknown), expected=", ".join(KIND_OF_STAGE))
    listed = {*stages, "wavefunction"} if wanted.licences else set(stages)
    for file, message in catalogue.add_store(store, sorted(listed)):
        raise DataFormatError(
            "a file of the store cannot be read", where=file, seen=message.splitlines()[0],
            remedy="decar verify names every such file",
        )  # fmt: skip
    licensed = {
        entry.key for entry in catalogue if entry.stage == "wavefunction" and entry.licence in wanted.licences
    } if wanted.licences else set()  # fmt: skip

    def is_wanted(entry: Entry) -> bool:
        return (
            entry.stage in stages
            and (wanted.with_failures or entry.kind != "failure")
            and (not wanted.keys or entry.key.startswith(wanted.keys))
            and (not wanted.licences or entry.key in licensed)
            and (not wanted.licences or entry.stage != "wavefunction" or entry.licence in wanted.licences)
            and is_used(entry.stage, entry.recipe)
        )

    return filter(is_wanted, catalogue)
