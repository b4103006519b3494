"""The README's tree names every module, and its pictures and links are there."""

import importlib.util
import re
from pathlib import Path

from tests.docs.commands import DOCUMENTS


def test_tree_agrees_with_the_modules(root: Path) -> None:
    """`make docs` writes it."""
    spec = importlib.util.spec_from_file_location("tree", root / "docs" / "tree.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    readme = (root / "README.md").read_text()
    assert module.with_tree(readme) == readme


def test_links_and_pictures_lead_somewhere(root: Path) -> None:
    for page in DOCUMENTS:
        targets = re.findall(r"\]\(([^)#]+)\)", page.read_text())
        missing = [target for target in targets if "://" not in target and not (page.parent / target).exists()]
        assert missing == []
