"""netsim beside numbers that other people measured."""
