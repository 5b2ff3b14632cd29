"""What holds for all tests that need no engine."""

from hypothesis import settings

# A busy machine is no reason to fail: what takes too long shows in the duration of the whole.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
