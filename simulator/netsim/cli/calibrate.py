"""`netsim calibrate`: a compute profile from kernels that really ran."""

from __future__ import annotations

import sys

from netsim.cli.asking import asking
from netsim.cli.options import Force, Json, Quiet
from netsim.specs.requests import CalibrateRequest


@asking(request=CalibrateRequest)
def calibrate(
    request: CalibrateRequest, force: Force = False, json: Json = False, quiet: Quiet = False
) -> None:
    """Make a compute profile from a profiler trace or a table of kernel timings, and say how far to trust it."""
    from netsim.calibration.calibrate import summary
    from netsim.calibration.report import markdown
    from netsim.calibration.request import beside_network, write
    from netsim.calibration.request import calibrate as ask
    from netsim.errors import NetsimError
    from netsim.reports.rundir import to_json

    if request.network is not None:
        from netsim.api.files import import_network
        from netsim.cli.output import answer
        from netsim.reports.terminal.imports import print_import

        record = import_network(
            request.network,
            request.output,
            request.topology,
            request.hardware,
            force,
            beside_network(request),
        )
        answer(record, json, quiet, print_import)
        return
    if request.output.exists() and not force:
        raise NetsimError(f"{request.output}: already there; add --force to overwrite it")
    found = ask(request)
    files = write(found, request)
    if json:
        sys.stdout.write(to_json(summary(found)))
    elif not quiet:
        print(markdown(found))
    if not quiet:
        print(f"wrote {', '.join(map(str, files))}", file=sys.stderr)
