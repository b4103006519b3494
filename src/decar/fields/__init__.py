"""Scalar and vector fields of molecules on voxel grids: registry, evaluators, cube files."""
