"""Where colour pictures go."""
