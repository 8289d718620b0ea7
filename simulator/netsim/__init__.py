"""netsim: which network, how much of it, and what does it cost in step time?"""

__version__ = "0.1.0"
