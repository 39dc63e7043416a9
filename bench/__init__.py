"""Measure the speed of smoothmax and the errors of its rivals. No figure is typed by hand. See README.md."""
