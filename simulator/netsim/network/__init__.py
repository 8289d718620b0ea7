"""The network in time: flows over links, exactly (fluid), and folded by symmetry."""

from netsim.network.compiled import forget_outdated

forget_outdated()
