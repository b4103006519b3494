import numpy as np
from pathlib import Path
RADII_BOHR = np.geomspace(1e-5, 25.0, 256)
TABLE_PATH = Path(__file__).parent / "data" / "free_atoms.npz"
