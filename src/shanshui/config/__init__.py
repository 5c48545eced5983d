"""The configuration: its sections, how it is loaded and checked, and the settings each stage gets of it."""
