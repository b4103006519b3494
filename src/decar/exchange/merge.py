"""Merge records that were computed elsewhere into a store: checked, each kept once, never written over another.

A record comes in when it is sound and nothing contradicts it. It stays out, and is named, when it is not sound
(`refused`) or when the store holds other numbers for the same thing (`conflict`): the same recipe; or, for a
wavefunction, the same molecule, level of theory and geometry.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from decar.errors import DataFormatError
from decar.exchange.agreement import Deviation, deviations
from decar.exchange.bundle_reader import Incoming
from decar.exchange.incoming import Arrivals, open_source, read_guarded
from decar.exchange.twins import Twins
from decar.exchange.validate import foreign_problems
from decar.pack import KEY_BITS
from decar.provenance import provenance
from decar.record import Record, read_header
from decar.store import Store

MEMBERS_OF_PACK = 256  # about as many records as a pack should hold
Outcome = str  # "added", "present", "agrees", "conflict" or "refused"


@dataclass
class Finding:
    """A record that stayed out, and why."""

    source: str
    stage: str
    key: str
    recipe: str
    outcome: Outcome
    reasons: list[str]
    kept: str | None = None  # place of the record that stays
    deviations: list[Deviation] = field(default_factory=list)


@dataclass
class MergeReport:
    """What became of every record that was brought."""

    into: str
    sources: list[str]
    dry_run: bool
    counts: dict[Outcome, dict[str, int]] = field(default_factory=dict)  # outcome -> stage -> number
    findings: list[Finding] = field(default_factory=list)

    def count(self, outcome: Outcome, stage: str) -> None:
        """Count one record."""
        of_stage = self.counts.setdefault(outcome, {})
        of_stage[stage] = of_stage.get(stage, 0) + 1

    def total(self, outcome: Outcome) -> int:
        """Return the number of records with this outcome."""
        return sum(self.counts.get(outcome, {}).values())

    def to_json(self) -> dict[str, Any]:
        """Return the machine-readable report."""
        findings = [
            {**vars(found), "deviations": [vars(deviation) for deviation in found.deviations]}
            for found in self.findings
        ]
        return {
            "format": "decar merge report",
            "format_version": 1,
            "created_utc": provenance()["created_utc"],
            "into": self.into,
            "sources": self.sources,
            "dry_run": self.dry_run,
            "counts": self.counts,
            "findings": findings,
        }


def merge(
    sources: Sequence[Path], store: Store, *, dry_run: bool = False, with_physics: bool = False,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> MergeReport:  # fmt: skip
    """Bring the records of stores and bundles into `store`; records that are there already cost one look.

    A merge that is interrupted is simply started again. `progress` is told how many records of a source are done.
    Raises DataFormatError for a source that is neither store nor bundle, or a bundle that was made to do harm: what of
    it was sound before that is kept.
    """
    report = MergeReport(str(store.root), [str(path) for path in sources], dry_run)
    with Twins(store) as twins:
        for path in sources:
            with open_source(path) as arrivals, _packer(store, arrivals, dry_run) as keep:
                for place, message in arrivals.unreadable:
                    report.count("refused", "unreadable")
                    report.findings.append(Finding(str(path), "", "", "", "refused", [f"{place}: {message}"]))
                for done, incoming in enumerate(arrivals.records, 1):
                    finding = _decide(incoming, store, twins, with_physics, keep)
                    report.count(finding.outcome, incoming.stage)
                    if finding.outcome in {"conflict", "refused"}:
                        finding.source = str(path)
                        report.findings.append(finding)
                    progress(done, arrivals.num_records)
    return report


def _decide(
    incoming: Incoming, store: Store, twins: Twins, with_physics: bool, keep: Callable[[str, Record], None]
) -> Finding:
    finding = Finding("", incoming.stage, incoming.key, incoming.recipe, "present", [])
    place = store.find(incoming.stage, incoming.key, incoming.recipe)
    if place is not None and read_header(place)["content_hash"] == incoming.content_hash:
        return finding
    try:
        record = incoming.load()
        problems = foreign_problems(record, incoming.stage, incoming.content_hash, with_physics)
        if record.recipe != incoming.recipe:
            problems.append("the recipe is not the one under which it is kept")
    except DataFormatError as error:
        problems = [str(error)]
    if problems:
        finding.outcome, finding.reasons = "refused", problems
        return finding
    if place is not None:
        finding.deviations = deviations(read_guarded(place), record)
        finding.outcome, finding.kept = "conflict" if finding.deviations else "agrees", str(place)
    else:
        twin = twins.contradicting(record) if record.kind == "wavefunction" else None
        if twin is not None:
            finding.outcome, finding.kept, finding.deviations = "conflict", *twin
        else:
            finding.outcome = "added"
            keep(incoming.stage, record)
            twins.add(incoming.stage, record)
    finding.reasons = [str(deviation) for deviation in finding.deviations]
    return finding


@contextmanager
def _packer(store: Store, arrivals: Arrivals, dry_run: bool) -> Iterator[Callable[[str, Record], None]]:
    """Yield a function that keeps a record; neighbours of one hash prefix, as they come, go into a pack together."""
    waiting: list[tuple[str, str]] = []
    at: list[tuple[str, int]] = []

    def keep(stage: str, record: Record) -> None:
        key = str(record.metadata["key"])
        bits = max(arrivals.num_of_stage.get(stage, 1) // MEMBERS_OF_PACK, 1).bit_length() - 1
        prefix = int(key[:16], 16) >> (KEY_BITS - bits)
        if at != [(stage, prefix)]:
            flush()
            at[:] = [(stage, prefix)]
        if not dry_run:
            store.save(stage, record)
        waiting.append((key, record.recipe))

    def flush() -> None:
        if waiting and not dry_run:
            store.pack(at[0][0], waiting)
        waiting.clear()

    try:
        yield keep
    finally:
        flush()
