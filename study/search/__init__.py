"""One arm's search and confirmation on Optuna; knows no Ray."""
