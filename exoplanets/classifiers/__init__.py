"""What scores light curves: the transit network and box least squares."""
