"""Scores of whole sets of images, the contest's formulas, choosing and averaging checkpoints."""
