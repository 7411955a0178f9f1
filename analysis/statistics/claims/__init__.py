"""What may be claimed of differences: one family of tests, failures and collapses."""
