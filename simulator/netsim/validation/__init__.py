"""netsim against what other people measured."""
