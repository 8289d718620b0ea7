"""netsim's traffic in the words of other tools: packet simulators, trace formats, other cluster simulators."""
