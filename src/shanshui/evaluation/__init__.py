"""Scores of image sets, the contest's formulas, model selection and checkpoint averaging."""
