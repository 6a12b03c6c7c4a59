"""gateflow: a numerical laboratory for the gates of recurrent networks."""

__version__ = "0.1.0"
