"""Training of one network on one fold: the loop, what is logged, checkpoints, and any number of processes."""
