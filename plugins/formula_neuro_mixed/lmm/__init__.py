"""Linear mixed models by structure: the profiled deviance, its derivatives, and degrees of freedom."""
