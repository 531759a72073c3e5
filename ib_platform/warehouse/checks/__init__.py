"""The 33 checks of the quality report: what each is, its figures, its verdict."""
