"""How many labels others need for the baseline's score, and what those labels cost."""
