"""Tables of the answer."""
