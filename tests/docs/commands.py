"""Every command of the documents: where it stands, and whether the program that it names would take it.

A block that is tagged `console` is a session that tests/workflow/test_documents.py runs; which test runs a command of a
`bash` block stands in tests/docs/run_by.py. Those in the running text are read by the parser of their program, as all
are. Blocks tagged `text` hold output or files.
"""

import ast
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import typer
from typer.core import TyperGroup

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "examples" / "README.md", ROOT / "config" / "README.md",
             *sorted((ROOT / "docs").rglob("*.md"))]  # fmt: skip
OURS = ("decar", "snakemake", "make", "python", "pytest")  # held to their parsers
# Programs of others, which documents tell how to call and which this repository cannot check.
OTHERS = ("git", "cd", "source", "export", "apptainer", "squeue")
FENCE = re.compile(r"^\s*```\s*(\w*)")


@dataclass(frozen=True)
class Line:
    """A command as it stands in a document."""

    document: str
    number: int
    tag: str  # of its block; "" in the running text
    text: str

    @property
    def command(self) -> str:
        """Return the line without its comment."""
        return re.sub(r"\s+#.*$", "", self.text)

    @property
    def words(self) -> list[list[str]]:
        """Return the words of each command on the line, without comments and without variables set before it."""
        lexer = shlex.shlex(re.sub(r"<[^>]*>", "PLACE", self.text), posix=True, punctuation_chars="&|;")
        lexer.whitespace_split = True
        parts: list[list[str]] = [[]]
        for word in lexer:
            if set(word) <= set("&|;"):
                parts.append([])
            elif parts[-1] or not re.fullmatch(r"[A-Z_]+=.*", word):
                parts[-1].append(word)
        return [part for part in parts if part]

    def filled(self, places: Mapping[str, object]) -> list[str]:
        """Return the words of the one command on the line, those of `places` replaced (by several, where a list is)."""
        (words,) = self.words
        found = [places.get(word, word) for word in words]
        return [str(part) for value in found for part in (value if isinstance(value, list) else [value])]


def commands(document: Path) -> Iterator[Line]:
    """Yield every command of a document, in order."""
    name, tag, is_inside, held = document.relative_to(ROOT).as_posix(), "", False, ""
    for number, line in enumerate(document.read_text(encoding="utf-8").splitlines(), 1):
        fence = FENCE.match(line)
        if fence:
            is_inside, tag = not is_inside, fence[1]
        elif not is_inside:
            for text in re.findall(r"`([^`]+)`", line):
                if text.split()[0] in OURS and len(text.split()) > 1 and "<" not in text:
                    yield Line(name, number, "", text)
            # An indented block is not marked: a command in it would be neither run nor read.
            if re.match(rf"(    |\t)+(\$ |({'|'.join(OURS)}) )", line):
                raise AssertionError(f"{name}:{number}: mark the block as console, bash or text: {line.strip()}")
        elif tag == "bash" or line.lstrip().startswith("$ "):
            text = held + line.strip().removeprefix("$ ")
            held = text.removesuffix("\\") if text.endswith("\\") else ""
            if not held and text and not text.startswith("#"):
                yield Line(name, number, tag, text)


def problem(words: list[str]) -> str | None:
    """Return what is wrong with a command, or None where its program would take it."""
    program, *arguments = words
    if program in OTHERS:
        return None
    checks = {"decar": _decar, "snakemake": _snakemake, "make": _make, "python": _python, "pytest": _paths}
    return checks[program](arguments) if program in checks else f"nobody knows the program {program}"


def _decar(arguments: list[str]) -> str | None:
    """Read the options of a sub-command, without calling it; values are not looked at, files need not exist."""
    name, *rest = arguments
    command = _application().commands.get(name)
    if command is None:
        return f"decar has no command {name}"
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    unknown = [word for word in rest if word.startswith("-") and word.split("=")[0] not in {*known, "--help", "-h"}]
    if unknown:
        return f"decar {name} has no option {', '.join(unknown)}"
    context = command.context_class(command, info_name=name, resilient_parsing=True, allow_extra_args=True)
    command.parse_args(context, list(rest))
    return f"decar {name} takes no {context.args}" if context.args else None


@cache
def _application() -> TyperGroup:
    from decar.cli import app

    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return group


def _snakemake(arguments: list[str]) -> str | None:
    from snakemake.cli import get_argument_parser

    parser = get_argument_parser()
    parser.exit_on_error = False
    known, unknown = parser.parse_known_args(arguments)
    rules = set(re.findall(r"^rule (\w+):", _rules(), flags=re.MULTILINE))
    targets = [*known.targets, *(word for word in unknown if not word.startswith("-"))]
    if unknown and any(word.startswith("-") for word in unknown):
        return f"snakemake has no option {unknown}"
    # --configfile takes every word that follows it.
    read = [str(path) for path in known.configfile or [] if path.suffix != ".yaml"]
    if read:
        return f"snakemake takes {read} for a study file: name targets before --configfile"
    missing = sorted(set(targets) - rules)
    return f"the workflow has no target {missing}" if missing else None


@cache
def _rules() -> str:
    workflow = ROOT / "workflow"
    return "\n".join(path.read_text() for path in (workflow / "Snakefile", *sorted(workflow.glob("rules/*.smk"))))


def _make(arguments: list[str]) -> str | None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    missing = [word for word in arguments if "=" not in word and word not in targets]
    return f"the Makefile has no target {missing}" if missing else None


def _python(arguments: list[str]) -> str | None:
    """Find the script, or the module of `-m`, and each of its options among those that its source adds."""
    if arguments[0] == "-m":
        script, rest = ROOT / (arguments[1].replace(".", "/") + ".py"), arguments[2:]
    else:
        script, rest = ROOT / arguments[0], arguments[1:]
    if not script.is_file():
        return f"there is no {script.relative_to(ROOT)}"
    calls = [node for node in ast.walk(ast.parse(script.read_text())) if isinstance(node, ast.Call)]
    added = [call for call in calls if isinstance(call.func, ast.Attribute) and call.func.attr == "add_argument"]
    known = {word.value for call in added for word in call.args if isinstance(word, ast.Constant)}
    unknown = [word for word in rest if word.startswith("-") and word not in known]
    return f"{script.name} has no option {unknown}" if unknown else None


def _paths(arguments: list[str]) -> str | None:
    missing = [word for word in arguments if not word.startswith("-") and not (ROOT / word.split("::")[0]).exists()]
    return f"there is no {missing}" if missing else None
