"""How objects show themselves in a notebook: cards, HTML built from parts, sliders."""
