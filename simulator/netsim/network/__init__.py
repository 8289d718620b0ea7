"""The network in time: flows over links, exactly (fluid), folded by symmetry, and packet by packet for comparison."""

from netsim.network.compiled import forget_outdated

forget_outdated()
