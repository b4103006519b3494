"""From a study file to the list of jobs: which molecules, which recipes, which files."""
