"""A deployment to its answer, with how sure it is."""

from __future__ import annotations

from netsim.analysis.uncertainty.serving import add_serving_intervals
from netsim.inference.iteration import Deployment
from netsim.inference.serve import Served, serve
from netsim.specs.requests import ServeRequest


def answer(deployment: Deployment, request: ServeRequest) -> Served:
    """Serve it; the record says its intervals, except that of a bound, which is exact."""
    found = serve(deployment, request)
    if not request.ideal:
        add_serving_intervals(found.record)
    return found
