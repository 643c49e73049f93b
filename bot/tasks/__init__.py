"""A task turns context into prompts, and answers into findings. Pure."""
