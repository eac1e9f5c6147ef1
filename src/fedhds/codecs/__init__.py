"""Writing adapters for the wire in fewer bytes: one codec per file, pure arrays.

The contract is `fedhds.types.Codec`.
"""
