"""The demonstration: what a house with simulators begins with, and the story that is played."""
