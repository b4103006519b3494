"""Write the file tree of the README from the first line of every module: `python docs/tree.py` (`make docs`)."""

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- tree: written by docs/tree.py -->", "<!-- end of tree -->"


def tree() -> str:
    """Return a line a module of src/decar, in the order of the folders."""
    source = ROOT / "src" / "decar"
    lines = []
    for path in sorted(source.rglob("*.py"), key=lambda path: (path.parent != source, path)):
        document = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        first = document.split("\n\n")[0].split("\n")[0].split(". ")[0].removesuffix(".").removesuffix(":")
        name = str(path.relative_to(source)).removesuffix("__init__.py")
        lines.append(f"{name or '.':34}{first}")
    return "```\n" + "\n".join(lines) + "\n```"


def with_tree(readme: str) -> str:
    """Return the README's text with its tree replaced."""
    before, rest = readme.split(BEGIN)
    return f"{before}{BEGIN}\n\n{tree()}\n\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    path = ROOT / "README.md"
    path.write_text(with_tree(path.read_text(encoding="utf-8")), encoding="utf-8")
