"""The shell around the scheduler: performs its commands, owns every upstream."""
