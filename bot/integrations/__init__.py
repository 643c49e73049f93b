"""One outside system a file; nothing here imports a neighbour."""
