"""Programs that a reader takes away."""
