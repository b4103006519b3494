"""Records on their way between groups: bundles for sending, merging what was computed elsewhere."""
