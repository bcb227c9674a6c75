"""The columns of a FractalNet as networks of their own, to be joined or compared."""

import dataclasses

from cnnjax.inference.network import Network
from cnnjax.models.fractalnet import FractalNet, column_variables
from cnnjax.training.errors import ConfigError


def columns_of(network: Network) -> tuple[Network, ...]:
    """Returns each column of a trained FractalNet as a plain network, the shallowest first.

    Drop-path trains the columns to work by themselves. `Ensemble(columns_of(network))` joins their
    predictions, in place of the activations that the whole network joins.

    Args:
        network: a FractalNet with all its columns.

    Raises:
        ConfigError: it is no FractalNet, or one column of it.

    Source: Larsson et al., 2017, sections 3 and 4.4.
    """
    model = network.model
    if not isinstance(model, FractalNet) or model.column is not None:
        raise ConfigError(
            f"columns_of: {network.origin} is a {type(model).__name__}"
            f"{' of one column' if isinstance(model, FractalNet) else ''}; give a FractalNet with "
            "all its columns"
        )
    return tuple(
        dataclasses.replace(
            network,
            model=model.clone(column=column),
            variables=column_variables(network.variables, column),
            origin=f"{network.origin}, column {column}",
        )
        for column in range(model.columns)
    )
