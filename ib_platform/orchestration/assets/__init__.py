"""Assets: the external frames, and depth, bars and the quality report derived from them."""
