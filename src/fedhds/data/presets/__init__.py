"""Formats of instruction data, one a file; the file's stem is the preset's name."""
