"""Training: the schedule, losses, augmentation and the loop."""
