"""What is fixed before the first trial: arms, data, budgets and the manifest of a study."""
