"""The report: one self-contained page, its tables and figures."""
