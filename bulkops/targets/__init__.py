"""What changes are written to."""
