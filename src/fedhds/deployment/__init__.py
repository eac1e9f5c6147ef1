"""The engine ``deployment``: the same apps, with each client on a machine of its own.

``kit`` writes a federation's files, ``submission`` hands a run to Flower's SuperLink and waits
for it, ``apps`` are what Flower then runs; on a site ``message`` answers in place of Flower's own
program, through the ``worker`` that ``site`` opens data and model for.
"""
