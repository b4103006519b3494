"""RO-Crate 1.1 metadata of a bundle (w3id.org/ro/crate/1.1): who gives which files, on what terms, in JSON-LD."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from decar.exchange.limits import CRATE, MANIFEST

SPDX = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+\-]*")
ORCID = re.compile(r"(?:https?://orcid\.org/)?((?:\d{4}-){3}\d{3}[\dX])")
FORMATS = {".jsonl": "application/jsonl", ".safetensors": "application/octet-stream", ".json": "application/json"}
JSONL_IS = "Headers of the records (canonical JSON, one a line): identity, results, level of theory, provenance."
ARRAYS_ARE = "Arrays of the records (safetensors), named <recipe>/<array>; atomic units."


def crate_metadata(
    manifest: Mapping[str, Any], files: Sequence[tuple[str, int, str]], title: str, created_utc: str
) -> dict[str, Any]:
    """Return the content of `ro-crate-metadata.json`; `files` are (name, bytes, SHA-256)."""
    people = [_person(name) for name in manifest["contributors"]]
    licences = [_licence(name) for name in manifest["licences"]]
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": title,
        "description": f"{manifest['num_records']} records of electronic structure in the bundle format of decar, "
        f"version {manifest['format_version']}",
        "datePublished": created_utc,
        "hasPart": [{"@id": name} for name, _, _ in files],
        "author": [{"@id": person["@id"]} for person in people],
        "license": [{"@id": licence["@id"]} for licence in licences],
    }
    descriptor = {
        "@id": CRATE,
        "@type": "CreativeWork",
        "conformsTo": {"@id": "https://w3id.org/ro/crate/1.1"},
        "about": {"@id": "./"},
    }
    parts = [_file(*file) for file in files]
    return {
        "@context": "https://w3id.org/ro/crate/1.1/context",
        "@graph": [descriptor, {name: value for name, value in root.items() if value}, *parts, *people, *licences],
    }


def _file(name: str, size: int, sha256: str) -> dict[str, Any]:
    suffix = name[name.rindex(".") :]
    described = "What the bundle holds, with the hash of every file." if name == MANIFEST else JSONL_IS
    return {
        "@id": name, "@type": "File", "contentSize": str(size), "sha256": sha256, "encodingFormat": FORMATS[suffix],
        "description": ARRAYS_ARE if suffix == ".safetensors" else described,
    }  # fmt: skip


def _person(name: str) -> dict[str, Any]:
    orcid = ORCID.fullmatch(name)
    identifier = f"https://orcid.org/{orcid[1]}" if orcid else "#" + re.sub(r"[^A-Za-z0-9]+", "-", name)
    return {"@id": identifier, "@type": "Person", "name": name}


def _licence(name: str) -> dict[str, Any]:
    if not SPDX.fullmatch(name):
        return {"@id": "#licence-" + re.sub(r"[^A-Za-z0-9]+", "-", name), "@type": "CreativeWork", "name": name}
    return {"@id": f"https://spdx.org/licenses/{name}", "@type": "CreativeWork", "name": name, "identifier": name}
