"""Training on a device that has memory of its own, as a GPU has: nothing is left behind, the losses are the same."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_all_networks_train_on_another_device(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.training.train_elsewhere", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    # Of some twenty batches, with what is done once: three waits a step, one a layer would be more.
    assert all(20 < waits < 260 for waits in found["waits"].values()), found["waits"]
    assert set(found["losses"]) == {"published", "rendered", "residual", "steerable", "head", "pretrained"}
    for name, losses in found["losses"].items():
        assert len(losses["here"]) == 4
        assert losses["there"] == pytest.approx(losses["here"], rel=1e-5), name
