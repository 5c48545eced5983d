"""Scores of generated photographs against real ones."""
