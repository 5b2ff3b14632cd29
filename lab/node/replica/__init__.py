"""More masters than one: making replicas, joining and parting them, and clients of the realm."""
