"""``ib-platform doctor``: what a machine and a configuration mean for the recording."""
