"""From the settings of a model to its network."""

from decar.config import ModelSettings
from decar.models.network import Network
from decar.models.published import PublishedNetwork
from decar.models.residual import ResidualNetwork


def build_network(settings: ModelSettings, spacing_bohr: float, num_inputs: int, num_outputs: int = 1) -> Network:
    """Return the network that `settings.architecture` names, with weights still to be drawn or loaded."""
    if settings.architecture == "residual":
        return ResidualNetwork(settings, spacing_bohr, num_inputs, num_outputs)
    if settings.architecture == "steerable":
        from decar.models.steerable import SteerableNetwork  # noqa: PLC0415  e3nn takes seconds to import

        return SteerableNetwork(settings, spacing_bohr, num_inputs, num_outputs)
    return PublishedNetwork(settings, spacing_bohr, num_inputs, num_outputs)
