"""What training_speed.py compares: the same work for two engines, each of which runs in a process of its own."""
