"""All masters of a realm at once: what each says of its replication, and whether they are one realm."""
