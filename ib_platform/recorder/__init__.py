"""Records what a gateway says and is asked, masked, into a file that can be played again."""
