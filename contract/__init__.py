"""What writers and readers of a study agree on; imports no other room."""
