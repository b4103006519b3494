"""Models that see no electron cloud: what a network must beat on the same folds."""
