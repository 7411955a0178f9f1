"""The annotation budgets of a study: drawn once, named, and told."""
