"""Speed and size of the plugin beside what it must reach and what others need. `make bench` runs all of it."""
