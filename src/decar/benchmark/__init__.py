"""The benchmark: every network and baseline of a study on the same folds of several splits and seeds."""
