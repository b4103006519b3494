"""Molecules: read a table, standardise each structure, name it by its chemistry, collect its labels, embed it."""
