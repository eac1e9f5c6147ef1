"""What is trained in place of the base model: one kind of adapter per file.

Each file holds a frozen dataclass of the kind's options, which gives peft's configuration.
"""
