"""What simulates again to explain: causes, bindings, faults, sharing, comparisons and ablations."""
