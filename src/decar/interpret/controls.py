"""The untrained control: the network with all weights drawn anew."""

from decar.config import Study
from decar.models.published import PublishedNetwork
from decar.stages import derive_seed


def untrained(network: PublishedNetwork, study: Study) -> PublishedNetwork:
    """Return a network of the same shape that has never seen a molecule."""
    drawn = PublishedNetwork(network.settings, network.spacing_bohr, network.num_inputs, network.num_outputs)
    drawn.initialise(derive_seed(study.seed, "interpret", "untrained", study.interpret.model))
    return drawn.eval()
