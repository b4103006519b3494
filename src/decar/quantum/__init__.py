"""Level of theory, engines, geometry optimisation, self-consistent field, and the wavefunction record."""
