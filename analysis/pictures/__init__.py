"""Maps of the test tiles: crops, errors, disagreement."""
