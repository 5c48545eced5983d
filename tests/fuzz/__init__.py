"""Random inputs against the doors of the program: `make fuzz`, and a short slice of it in the suite."""
