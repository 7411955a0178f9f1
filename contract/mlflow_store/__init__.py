"""How MLflow's store is reached: its address, its logins, and what keeps it from being used."""
