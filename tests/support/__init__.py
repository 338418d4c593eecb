"""What the end-to-end tests stand on: real processes, and doubles for the rest."""
