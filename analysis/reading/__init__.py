"""From MLflow, or an exported file, to one checked record of a study."""
