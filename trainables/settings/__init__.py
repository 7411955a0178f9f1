"""What every part of a trial is told: configuration, random generators, process group."""
