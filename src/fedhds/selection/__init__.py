"""Choosing coresets: one method per file, client half and server half together.

Arrays in, arrays out: nothing here knows of Flower, torch or files. The contract is
`fedhds.types.SelectionMethod`. Files that start with an underscore are shared steps.
"""
