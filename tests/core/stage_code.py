"""Write stage_code.json: run it after deciding whether a changed stage needs a new STAGE_VERSION."""

import json
from pathlib import Path

from decar.stages import STAGE_VERSION
from tests.core.test_architecture import STAGE_CODE, code_hash

if __name__ == "__main__":
    root = Path(__file__).resolve().parents[2]
    table = {
        stage: {"version": STAGE_VERSION[stage], "code": code_hash(root, files)} for stage, files in STAGE_CODE.items()
    }
    (Path(__file__).parent / "stage_code.json").write_text(json.dumps(table, indent=1) + "\n")
