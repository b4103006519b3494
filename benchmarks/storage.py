"""How voxels are best stored: size, and the time of writing and reading, of the codecs that HDF5 has and lose nothing.

    python benchmarks/storage.py benchmarks/storage.json

Three fields of glucose (B3LYP/6-31G*) in a box of 30 bohr with 128^3 voxels, as float32 and float16, one chunk a
channel; seconds of the processor of one thread, into and out of files that the system keeps in memory.
"""

import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import h5py
import hdf5plugin
import numpy as np

from decar.atomic import write_text
from decar.fields.registry import evaluate_fields
from decar.provenance import provenance
from decar.record import COMPRESSION
from decar.threads import limit_threads
from fields import box, glucose

FIELDS, VOXELS, BOX_BOHR, REPEATS = ("electron_density", "electrostatic_potential", "electron_localisation"), 128, 30, 5
MIB = 2**20
CODECS: dict[str, dict[str, Any]] = {
    "decar": {**COMPRESSION},
    "Blosc2: bytes, LZ4": {**hdf5plugin.Blosc2(cname="lz4", clevel=5, filters=hdf5plugin.Blosc2.SHUFFLE)},
    "Blosc2: bits, Zstandard": {**hdf5plugin.Blosc2(cname="zstd", clevel=1, filters=hdf5plugin.Blosc2.BITSHUFFLE)},
    "bitshuffle, Zstandard": {**hdf5plugin.Bitshuffle(cname="zstd", clevel=3)},
    "bitshuffle, LZ4": {**hdf5plugin.Bitshuffle(cname="lz4")},
    "gzip, shuffle": {"compression": "gzip", "compression_opts": 4, "shuffle": True},
    "none": {},
}


def seconds_and_size(values: np.ndarray, codec: dict[str, Any], file: Path) -> dict[str, float]:
    """Return milliseconds of writing and reading, and MiB; the values must come back to the bit."""
    start = time.process_time()
    with h5py.File(file, "w") as written:
        written.create_dataset("values", data=values, chunks=values.shape, **codec)
    writing = time.process_time() - start
    read = np.empty_like(values)
    with h5py.File(file, "r", rdcc_nbytes=0) as stored:
        size = stored["values"].id.get_storage_size()
        start = time.process_time()
        for _ in range(REPEATS):
            stored["values"].read_direct(read)
        reading = (time.process_time() - start) / REPEATS
    np.testing.assert_array_equal(read, values)
    return {"write_ms": round(1e3 * writing, 1), "read_ms": round(1e3 * reading, 2), "mib": round(size / MIB, 3)}


def main(output: Path) -> None:
    limit_threads(1)
    wavefunction, _ = glucose()
    fields = evaluate_fields(list(FIELDS), wavefunction, box(wavefunction, VOXELS, BOX_BOHR))
    rows = []
    with TemporaryDirectory() as folder:
        for name in FIELDS:
            for dtype in ("float32", "float16"):
                values = np.ascontiguousarray(fields[name].numpy().astype(dtype))
                for codec, options in CODECS.items():
                    found = seconds_and_size(values, options, Path(folder) / "values.h5")
                    rows.append({"field": name, "dtype": dtype, "codec": codec, **found})
                    print(*rows[-1].values(), sep="  ", flush=True)
    result = {"voxels": VOXELS, "rows": rows, "provenance": provenance("h5py", "hdf5plugin", "numpy")}
    write_text(output, json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
