"""Merging the clients' adapters into one: one method per file, pure arrays.

The contract is `fedhds.types.Aggregation`. Files that start with an underscore are shared.
"""
