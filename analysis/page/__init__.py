"""What a reader sees: the report with its tables and figures, and how far a study is."""
