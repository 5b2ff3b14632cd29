"""Back up and restore a FreeIPA identity server."""

__version__ = "0.1.0"
