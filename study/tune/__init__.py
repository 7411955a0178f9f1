"""Ray Tune's side: the searcher, the scheduler and the callbacks."""
