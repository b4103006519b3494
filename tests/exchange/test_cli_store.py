"""`decar bundle` and `decar merge` as a user meets them: tables, the report file, the exit."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from decar.cli import app
from decar.errors import ConfigError, DecarError
from decar.store import Store

from .conftest import hashes, record_of


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_bundle_travels_and_a_conflict_is_reported(
    computed: Store, copy: Callable[[str], Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = run("bundle", "b.zip", "--store", computed.root)
    assert "wavefunction │ 3" in text
    assert "licences: CC-BY-4.0" in text
    assert "into into" in run("merge", "b.zip", "--into", "into")
    assert hashes(Store(Path("into"))).items() <= hashes(computed).items()
    assert json.loads(Path("merge-report.json").read_text())["counts"]["added"] == {
        "conformers": 4, "optimise": 3, "wavefunction": 3,
    }  # fmt: skip

    theirs = copy("theirs")
    water = record_of(theirs, "wavefunction", "O")
    (conformer,) = water.metadata["conformers"]
    changed = {**conformer, "energy_hartree": conformer["energy_hartree"] + 1e-3}
    theirs.save("wavefunction", replace(water, metadata={**water.metadata, "conformers": [changed]}))
    with pytest.raises(DecarError, match="1 conflicts, 0 records refused: nothing was overwritten"):
        run("merge", theirs.root, "--into", "into", "--report", "second.json")
    (finding,) = json.loads(Path("second.json").read_text())["findings"]
    assert (finding["outcome"], finding["recipe"]) == ("conflict", water.recipe)
    assert finding["deviations"][0]["difference"] == pytest.approx(1e-3)


def test_mistakes_are_named(computed: Store, tmp_path: Path) -> None:
    for arguments, message in (
        (("merge", tmp_path / "absent", "--into", tmp_path / "into"), "the source does not exist"),
        (("merge", computed.root, "--into", computed.root), "not merged into itself"),
        (("bundle", tmp_path / "b", "--store", computed.root, "--stage", "waves"), "no such stage"),
        (("bundle", computed.root, "--store", computed.root), "something of this name already"),
        (("bundle", tmp_path / "b", "--store", computed.root, "--key", "xyz"), "no record was selected"),
        (("gc", "--store", tmp_path / "absent"), "there is no store"),
    ):
        with pytest.raises(DecarError, match=message) as caught:
            run(*arguments)
        assert isinstance(caught.value, ConfigError) or arguments[0] == "bundle"
    assert not (tmp_path / "b").exists()
