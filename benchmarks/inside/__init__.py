"""What runs inside the measured host; the standard library alone."""
