"""Local training of the adapter on a client's coreset."""
