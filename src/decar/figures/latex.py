r"""A table in LaTeX that fits its page: `longtable` with the rules of booktabs, as wide as the text at most.

A table whose widest cells fit beside each other has plain columns. Another one has columns that wrap: each is given
what its longest word needs, and a share of the rest by what its longest cell would like. Where even the words do not
fit upright, the table is turned, and set smaller. Widths of letters are those of Computer Modern, about; columns are
parts of `\linewidth`, so that they follow a page of any size.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

PACKAGES = "array, booktabs, longtable, pdflscape"
SIGNS = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': "''", "−": "$-$", "–": "--", "—": "---", "…": r"\ldots{}", "’": "'",
    "‘": "`", "“": "``", "”": "''", "′": "$'$", "″": "$''$", "×": r"$\times$", "·": r"$\cdot$", "±": r"$\pm$",
    "≤": r"$\leq$", "≥": r"$\geq$", "→": r"$\to$", "°": r"$^\circ$", "\n": " ", "Å": r"\AA{}", "å": r"\aa{}",
    "ß": r"\ss{}", "æ": r"\ae{}", "Æ": r"\AE{}", "ø": r"\o{}", "Ø": r"\O{}", "œ": r"\oe{}", "Œ": r"\OE{}",
    "ł": r"\l{}", "Ł": r"\L{}", "ı": r"\i{}", "ς": r"$\varsigma$", "\N{NO-BREAK SPACE}": "~", "ο": "o",
    "\N{MICRO SIGN}": r"$\mu$",
}  # fmt: skip
ACCENTS = {"\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0304": "=", "\u0306": "u", "\u0307": ".",
           "\u0308": '"', "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0327": "c"}  # fmt: skip
# Greek capitals that look like Latin ones: LaTeX has no command for them.
LATIN = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΧ", "ABEZHIKMNOPTX"))
GAP = 3.0  # points on either side of a column
PORTRAIT, LANDSCAPE = 345.0, 550.0  # points: the text of LaTeX's article, whose pages are narrower than most
LAYOUTS = (  # (text width, size, points an em), the first into which the words fit is taken
    (PORTRAIT, "footnotesize", 8.5),
    (PORTRAIT, "scriptsize", 8.0),
    (LANDSCAPE, "footnotesize", 8.5),
    (LANDSCAPE, "scriptsize", 8.0),
)
WIDE, NARROW, OTHER = 0.86, 0.41, 0.57  # em
LONGEST = 9.0  # em: longer words are broken
BROKEN = 3.6  # em: so are those longer than this where there is no room, and names and SMILES before others


@dataclass(frozen=True)
class Grid:
    """Texts of a table: heads, lines, and which columns are numbers (set flush right)."""

    heads: Sequence[str]
    lines: Sequence[Sequence[str]]
    are_numbers: Sequence[bool]


def latex(grid: Grid, caption: str, name: str) -> str:
    r"""Return the table with its caption and the label `tab:<name>`, to be read by `\input`."""
    words = _total(grid, 1)
    text, size, em = next((found for found in LAYOUTS if words * found[2] <= _room(grid, found[0])), LAYOUTS[-1])
    widths = _widths(grid, text, em)
    places = "".join(_place(width, text, number) for width, number in zip(widths, grid.are_numbers))
    lines = [_line(line, widths, em) for line in (grid.heads, *grid.lines)]
    head = [r"\toprule", lines[0], r"\midrule"]
    body = [
        rf"\{size} \setlength{{\tabcolsep}}{{{GAP:g}pt}} \setlength{{\LTcapwidth}}{{\linewidth}}",
        rf"\begin{{longtable}}{{{places}}}",
        rf"\caption{{{escaped(caption)}}} \label{{tab:{name}}} \\", *head, r"\endfirsthead", *head, r"\endhead",
        r"\bottomrule", r"\endfoot", *lines[1:], r"\end{longtable}",
    ]  # fmt: skip
    around = "landscape" if text == LANDSCAPE else "group"
    return "\n".join([rf"% \usepackage{{{PACKAGES}}}", *_inside(around, body), ""])


def _inside(around: str, body: list[str]) -> list[str]:
    if around == "group":
        return [r"\begingroup", *body, r"\endgroup"]
    return [rf"\begin{{{around}}}", *body, rf"\end{{{around}}}"]


def escaped(text: str) -> str:
    """Return a text as LaTeX of any font encoding; what it has no command for is written by its number."""
    return "".join(map(_sign, text))


def _sign(letter: str) -> str:
    if letter.isascii() or letter in SIGNS:
        return SIGNS.get(letter, letter)
    if "Α" <= letter <= "ω":
        name = unicodedata.name(letter, "").rpartition(" LETTER ")[2].lower().replace("lamda", "lambda")
        if name.isalpha():
            return LATIN.get(letter, rf"$\{name if letter.islower() else name.capitalize()}$")
    parts = unicodedata.normalize("NFKD", letter)
    if unicodedata.name(letter, "").startswith(("SUPERSCRIPT", "SUBSCRIPT")):
        return f"${'_' if unicodedata.name(letter).startswith('SUB') else '^'}{{{parts.replace('−', '-')}}}$"
    if len(parts) == 2 and parts[0].isascii() and parts[1] in ACCENTS:
        return rf"\{ACCENTS[parts[1]]}{{{parts[0]}}}"
    return f"[U+{ord(letter):04X}]"


def _width(text: str) -> float:
    """Return about how wide a text is in Computer Modern, in em."""
    return sum(
        WIDE if letter.isupper() or letter in "mw=+@%&−~#" else NARROW if letter in "ijlfrt.,;:'|!()[] " else OTHER
        for letter in text
    )


def _needs(grid: Grid, column: int) -> tuple[float, float, float]:
    """Return three widths of a column: its longest word broken, whole, and no cell wrapped."""
    cells = [line[column] for line in grid.lines]
    words = [word for text in (grid.heads[column], *cells) for word in text.split()]
    whole = max((min(_width(word), LONGEST if _is_plain(word) else BROKEN) for word in words), default=0.0)
    least = min(whole, BROKEN)
    if grid.are_numbers[column]:
        number = max((_width(part) for cell in cells for part in _of_interval(cell).split(" ")), default=0.0)
        least, whole = max(least, number), max(whole, number)
    return least, whole, max(whole, *map(_width, (grid.heads[column], *cells)))


def _total(grid: Grid, which: int) -> float:
    return sum(_needs(grid, column)[which] for column in range(len(grid.heads)))


def _room(grid: Grid, text: float) -> float:
    return text - 2 * GAP * len(grid.heads)


def _widths(grid: Grid, text: float, em: float) -> list[float | None]:
    """Return the width of each column in points; None where no column has to wrap."""
    room = _room(grid, text) / em
    if _total(grid, 2) <= room:
        return [None] * len(grid.heads)
    level = 1 if _total(grid, 1) <= room else 0  # from broken words to whole ones, or from whole ones to no wrapping
    low, high = _total(grid, level), _total(grid, level + 1)
    share = max(0.0, (room - low) / (high - low)) if high > low else 0.0
    needs = [_needs(grid, column)[level : level + 2] for column in range(len(grid.heads))]
    return [em * (least + share * (most - least)) for least, most in needs]


def _place(width: float | None, text: float, is_number: bool) -> str:
    if width is None:
        return "r" if is_number else "l"
    ragged = "raggedleft" if is_number else "raggedright"
    return rf">{{\{ragged}\arraybackslash\hspace{{0pt}}}}p{{{width / text:.4f}\linewidth}}"


def _line(texts: Sequence[str], widths: Sequence[float | None], em: float) -> str:
    cells = [_cell(text, None if width is None else width / em) for text, width in zip(texts, widths)]
    if cells[0].startswith(("[", "*")):  # after the end of a line these would be read as its options
        cells[0] = "{}" + cells[0]
    return " & ".join(cells) + r" \\"


def _cell(text: str, width: float | None) -> str:
    if width is None:
        return escaped(text)
    return " ".join(_broken(word, width) for word in _of_interval(text).split(" "))


def _of_interval(text: str) -> str:
    """Return `0.5 [0.4, 0.6]` with the space inside the brackets as one that is not broken."""
    return re.sub(r"(?<=\d), (?=[−\d.]+\]$)", ",\N{NO-BREAK SPACE}", text)


def _broken(word: str, width: float) -> str:
    """Return a word that may break where it is too wide: after its hyphens, where LaTeX hyphenates, or anywhere."""
    if "\N{NO-BREAK SPACE}" in word or _width(word) <= width:
        return escaped(word)
    if not _is_plain(word):
        return r"\allowbreak{}".join(map(_sign, word))
    # What follows a hyphen is hyphenated as a word of its own; a long word may have no syllable that LaTeX knows.
    parts = [r"\-".join(map(escaped, re.findall("..?.?", part))) if _width(part) > 1.1 * width else escaped(part)
             for part in word.split("-")]  # fmt: skip
    return r"-\hspace{0pt}".join(parts)


def _is_plain(word: str) -> bool:
    """Return whether a word is one of a language (no SMILES), so that LaTeX may hyphenate it."""
    return re.fullmatch(r"\W*\w?[^\W\d_A-Z]+(-\w?[^\W\d_A-Z]+)*\W*", word) is not None
