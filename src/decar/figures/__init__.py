"""Figures, report and summary: builders that read small tidy tables; the same tables give the same bytes."""
