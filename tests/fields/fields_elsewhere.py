"""Fields on a device that is not the processor, as JSON: those on the processor beside them, and what it took."""

import json
import sys

import torch

from decar.fields.on_device import evaluate_prepared, prepare
from decar.fields.registry import FIELDS
from tests.fields.test_on_device import placed_molecules
from tests.other_device import DEVICE, counts


def main(*names: str) -> None:
    names = names or tuple(FIELDS)
    prepared = [prepare(names, *one) for one in placed_molecules()]
    here = evaluate_prepared(names, prepared, "cpu")
    evaluate_prepared(names, prepared, DEVICE)  # what is computed once and kept
    counts.clear()
    there = evaluate_prepared(names, prepared, DEVICE)
    found = dict(counts)
    equal = {name: all(torch.equal(a[name], b[name].cpu()) for a, b in zip(here, there)) for name in names}
    devices = {str(one[name].device) for one in there for name in names}
    print(json.dumps({"equal": equal, "devices": sorted(devices), **found}))


if __name__ == "__main__":
    main(*sys.argv[1:])
