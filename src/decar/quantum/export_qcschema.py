"""QCSchema JSON of a wavefunction: an AtomicResult of version 1 (doi 10.1002/wcms.1491).

Functions follow the CCA standard: Cartesian components in lexical order, all with the norm that makes x^l one; spherical
ones from m = -l to +l. Shells of l < 2 are stated as Cartesian, so p is x, y, z. Only the occupied orbitals and the
lowest empty one are there.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from decar import __version__
from decar.atomic import write_text
from decar.quantum.elements import SYMBOLS
from decar.quantum.export import primitive_coefficients
from decar.quantum.wavefunction import Basis, Floats, Wavefunction
