"""The ground of a scene: its frame, materials, noise and light."""
