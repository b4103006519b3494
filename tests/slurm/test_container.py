"""The scripts that stand for `decar` and `torchrun` where the software is an image: what they ask Apptainer to run."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.workflow.conftest import ROOT

SCRIPTS = ROOT / "examples" / "apptainer" / "bin"


@pytest.mark.parametrize("program", ["decar", "torchrun"])
def test_script_runs_its_namesake_inside_the_image(program: str, tmp_path: Path) -> None:
    echo = tmp_path / "apptainer"
    echo.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    echo.chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "DECAR_BIND": "/shared", "TMPDIR": "/local"}
    command = [SCRIPTS / program, "train", "--fold", "a b"]
    refused = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert "set DECAR_IMAGE" in refused.stderr
    done = subprocess.run(
        command, env={**environment, "DECAR_IMAGE": "x.sif"}, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    words = [word for word in done.stdout.splitlines() if word != "--nv"]
    assert words == [
        "exec", "--pwd", str(tmp_path), "--bind", f"{tmp_path},/local,/shared", "x.sif", program,
        "train", "--fold", "a b",
    ]  # fmt: skip
