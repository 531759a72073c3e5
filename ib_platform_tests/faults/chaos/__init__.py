"""The chaos test: real processes, hundreds of faults by chance, and a judge. docs/durability.md."""
