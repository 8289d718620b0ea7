"""Files of other tools, read into what netsim knows: jobs, fabrics, placements, measured networks and collectives."""
