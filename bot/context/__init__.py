"""A diff and its repository become the smallest text that explains it. Pure."""
