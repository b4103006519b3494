"""What is accepted from a stranger: names, sizes and JSON, each checked before anything is allocated for it."""

import json
import math
import re
from typing import Any

from decar.errors import DataFormatError

# A bundle's parts are cut at 64 MiB; only a record that is larger by itself makes a larger part.
PART_BYTES = 64 * 2**20
MAX_PART_BYTES = 2**30
MAX_RECORDS_OF_PART = 4096
MAX_LINE_BYTES = 4 * 2**20  # header of one record; those of the pipeline have 2 to 10 kB
MAX_MANIFEST_BYTES = 4 * 2**20
MAX_TENSOR_HEADER_BYTES = 16 * 2**20
MAX_JSON_DEPTH = 32
MAX_FILES = 200_000

MANIFEST, CRATE = "bundle.json", "ro-crate-metadata.json"
STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
PART_NAME = re.compile(r"(conformers|optimise|wavefunction|fields)-[0-9]{5}\.(jsonl|safetensors)")


def is_bundle_name(name: str) -> bool:
    """Return whether a file of this name may lie in a bundle: none has a folder, a drive or a dot in front."""
    return name in {MANIFEST, CRATE} or PART_NAME.fullmatch(name) is not None


def hostile(what: str, where: object, seen: object = None, expected: object = None) -> DataFormatError:
    """Return the error for a bundle that is damaged or was made to do harm."""
    return DataFormatError(
        what, where=where, seen=seen, expected=expected, remedy="ask its sender for a bundle of `decar bundle`"
    )


def parse_json(text: bytes, limit: int, where: object) -> Any:
    """Return the value of a JSON text of at most `limit` bytes; raises DataFormatError.

    NaN and infinity, numbers of thousands of digits, names that come twice and deep nesting are refused.
    """
    if len(text) > limit:
        raise hostile("the JSON text is too long", where, f"more than {limit} bytes")
    _check_depth(text, where)
    try:
        return json.loads(
            text.decode("utf-8"), parse_constant=_no_constant, parse_float=_finite, object_pairs_hook=_unique
        )
    except (ValueError, RecursionError) as error:
        raise hostile("the text is not JSON", where, str(error)[:200]) from error


def _check_depth(text: bytes, where: object) -> None:
    depth = 0
    for bracket in re.findall(rb"[\[\]{}]", STRING.sub(b"", text)):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_JSON_DEPTH:
            raise hostile("the JSON text is nested too deeply", where, expected=f"at most {MAX_JSON_DEPTH} levels")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is too large a number")
    return number


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name comes twice in one object")
    return found
