"""What MkDocs cannot do by itself: pages from files outside docs/, a reference page a subpackage, links to sources.

MkDocs calls the functions by their names (mkdocs.org/dev-guide/plugins/#events).
"""

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
# Pages that lie elsewhere in the repository.
ELSEWHERE = {"settings.md": "config/README.md", "examples.md": "examples/README.md", "changes.md": "CHANGELOG.md"}
LINK = re.compile(r"(\]\()((?:\.\./)+[^)#\s]+)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Put pages that mkdocs.yml does not list, and one of every subpackage, into the navigation."""
    sections = {name: section for entry in config["nav"] for name, section in entry.items()}
    listed = set(re.findall(r"[\w/-]+\.md", str(sections)))
    sections["Understand"] += sorted(path.name for path in (ROOT / "docs").glob("*.md") if path.name not in listed)
    sections["Reference"] += [{name: f"api/{name}.md"} for name in _subpackages()]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages from elsewhere, the reference, and the sources that pages link to."""
    for page, path in ELSEWHERE.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / path)))
    for name, modules in _subpackages().items():
        text = "\n\n".join(f"::: {module}" for module in modules)
        files.append(File.generated(config, f"api/{name}.md", content=f"# {name}\n\n{text}\n"))
    for page in files.documentation_pages():
        for _, target in LINK.findall(page.content_string):
            path = _source(page.src_uri, target)
            if path is not None and files.get_file_from_path(_copy(path)) is None:
                files.append(File.generated(config, _copy(path), abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Lead links that leave docs/ to the page or the copy that the site has of that file."""
    depth = page.file.src_uri.count("/")

    def lead(found: re.Match[str]) -> str:
        path = _source(page.file.src_uri, found[2])
        if path is None:
            return found[0]
        pages = {where: name for name, where in ELSEWHERE.items()}
        return found[1] + "../" * depth + pages.get(path, _copy(path))

    return LINK.sub(lead, markdown)


def _subpackages() -> dict[str, list[str]]:
    """Return the modules of each subpackage that have members worth a page, by its name; `decar` holds the rest."""
    found: dict[str, list[str]] = defaultdict(list)
    source = ROOT / "src"
    for path in sorted((source / "decar").rglob("*.py")):
        parts = path.relative_to(source).with_suffix("").parts
        if parts[-1].startswith("__"):
            continue
        found["decar" if len(parts) == 2 else f"decar.{parts[1]}"].append(".".join(parts))
    return dict(sorted(found.items()))


def _source(page: str, target: str) -> str | None:
    """Return the path below the repository of a link that leaves docs/, or None where it does not."""
    docs = (ROOT / "docs").resolve()
    path = (docs / page).parent.joinpath(target).resolve()
    if path.is_relative_to(docs) or not path.is_relative_to(ROOT) or not path.is_file():
        return None
    return path.relative_to(ROOT).as_posix()


def _copy(path: str) -> str:
    """Return where the site has a file of the repository: under a name that a browser shows as text."""
    return f"files/{path}.txt"
