"""Weight files made by others: what they are called, where they come from, and how to read them safely."""
