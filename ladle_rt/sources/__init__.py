"""Where thermal frames come from."""
