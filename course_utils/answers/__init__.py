"""The answers to all exercises, one module a chapter."""
