"""From SMILES to prediction: the stages of the workflow, then trained networks, with uncertainty and applicability."""
