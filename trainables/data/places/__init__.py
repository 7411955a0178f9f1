"""Where tiles lie on the ground."""
