"""The numbers of a transport as the kernel reads them: picoseconds, bytes, bytes per picosecond."""

from __future__ import annotations

import numpy as np

#: one row: what does not change while packets move
RULES = np.dtype(
    [
        ("salt", "u8"),
        ("routing", "i1"),
        ("full", "i1"),
        ("payload", "i8"),
        ("header", "i8"),
        ("control", "i8"),
        ("cut_through", "i1"),
        ("paths", "i4"),
        ("flowlet_gap", "i8"),
        ("buffer", "i8"),
        ("alpha", "f8"),
        ("queue", "i8"),
        ("ecn", "i1"),
        ("ecn_low_ps", "f8"),  # thresholds as times: bytes over the rate of the port
        ("ecn_high_ps", "f8"),
        ("ecn_most", "f8"),
        ("stop", "i8"),
        ("resume", "i8"),
        ("ack_bytes", "i8"),  # negative: no acknowledgements
        ("ordered", "i1"),
        ("timeout", "i8"),  # 0: none
        ("telemetry", "i8"),
        ("pull_overhead", "i8"),
        ("pull_rate", "f8"),
        ("g", "f8"),
        ("cnp_interval", "i8"),
        ("alpha_timer", "i8"),
        ("rate_timer", "i8"),
        ("byte_counter", "i8"),
        ("fast_steps", "i8"),
        ("additive", "f8"),  # bytes/ps
        ("hyper", "f8"),
        ("least_rate", "f8"),
        ("eta", "f8"),
        ("stages", "i8"),
        ("additive_bytes", "f8"),
        ("target_delay", "i8"),
        ("proportional", "f8"),
        ("fair", "f8"),
        ("drift", "f8"),
        ("gamma", "f8"),
        ("adjust_bytes", "i8"),
        ("most_window", "f8"),
    ],
    align=True,
)
