"""The command line: one file per verb.

Heavy imports stand inside the functions, so that ``fedhds --help`` is instant.
"""
