"""Ways to spread examples over clients, one a file; the file's stem is the method's name."""
