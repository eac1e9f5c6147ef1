"""From files to clients: rows, examples, partitions, noise for experiments, tokens."""
