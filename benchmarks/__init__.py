"""Compares ipa-backup and ipa-restore with the documented procedure, on one server in one run."""
