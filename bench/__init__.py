"""How fast smoothmax is and how wrong its rivals are: measured here, never stated by hand. See README.md beside."""
