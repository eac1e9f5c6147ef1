"""From run folders to what a person reads. Never loads a model."""
