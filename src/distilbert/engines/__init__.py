"""What runs a graph: integer arrays in, float arrays out. Engines never see a string or a label."""
