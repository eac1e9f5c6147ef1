"""How well the adapter does on unseen tasks: Rouge-L of its answers and their loss."""
