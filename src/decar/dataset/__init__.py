"""The dataset: shards of voxels, their manifest, labels, splits and statistics, and how a network reads them."""
