"""The fleet: which pod streams what, what to do about a pod, and where pods run. No Dagster."""
