"""Programs of scenarios that run inside a host."""
