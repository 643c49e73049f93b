"""What a forge said becomes events, and events become jobs. Pure."""
