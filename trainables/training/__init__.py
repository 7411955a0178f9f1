"""The training loop: step, losses, schedule, checkpoints, time."""
