"""The operating system, one adapter a concern."""
