"""MLflow's side: the study's run, the trials' runs and the queue that survives an outage."""
