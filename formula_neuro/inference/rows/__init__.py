"""What rows and clusters do to a fit: influence, deletion, robust covariances."""
