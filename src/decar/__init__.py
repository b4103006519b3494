"""decar: deep electron cloud- and field-activity relationships (arXiv 2305.17958).

From a table of molecules to a trained, explained electron-cloud model. `import decar` imports neither a
quantum-chemistry program nor torch; the modules of each stage do, when they are used.
"""

__version__ = "0.1.0"
