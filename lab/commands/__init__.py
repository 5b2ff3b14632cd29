"""The verbs of ``python -m lab``, a module each.

A verb's module offers ``HELP`` (one line), ``add_arguments`` and ``run``, which returns the exit status.
"""
