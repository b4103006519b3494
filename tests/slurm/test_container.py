"""The scripts that stand for `decar` and `torchrun` where the software is an image: what they ask Apptainer to run."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.docs.commands import Line
from tests.workflow.conftest import ROOT

SCRIPTS = ROOT / "examples" / "apptainer" / "bin"


@pytest.mark.parametrize("program", ["decar", "torchrun"])
def test_script_runs_its_namesake_inside_the_image(program: str, tmp_path: Path, documented: list[Line]) -> None:
    echo = tmp_path / "apptainer"
    echo.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    echo.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "DECAR_BIND": "/shared", "TMPDIR": "/local"}
    command = [SCRIPTS / program, "train", "--fold", "a b"]
    refused = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "set DECAR_IMAGE" in refused.stderr
    exports = "\n".join(line.command.replace("/shared/me/decar", str(ROOT)) for line in documented)
    done = subprocess.run(
        ["bash", "-c", f"{exports}\n{program} train --fold 'a b'"], env=environment, cwd=tmp_path, capture_output=True,
        text=True, check=True,
    )  # fmt: skip
    words = [word for word in done.stdout.splitlines() if word != "--nv"]
    assert words == [
        "exec", "--pwd", str(tmp_path), "--bind", f"{tmp_path},/local,/shared", "/shared/decar.sif", program,
        "train", "--fold", "a b",
    ]  # fmt: skip
