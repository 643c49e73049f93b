"""What answers HTTP: webhooks and health, from the database alone."""
