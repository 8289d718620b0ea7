"""An operator to seconds: measured table first, then a model of its class; the answer says which."""

from netsim.compute.model import BlockTime, ComputeModel, OperatorTime, Origin

__all__ = ["BlockTime", "ComputeModel", "OperatorTime", "Origin"]
