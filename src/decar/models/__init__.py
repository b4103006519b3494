"""The networks, with their named kernels in physical units, and the package in which a trained one is kept."""
