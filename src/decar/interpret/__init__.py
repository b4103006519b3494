"""What a trained network has learned: the correlation of its kernels with molecules, by class."""
