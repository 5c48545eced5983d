"""Training pairs and label maps: found, checked, counted, prepared and handed out in batches."""
