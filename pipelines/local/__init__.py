"""A build on one machine: tasks, waves and processes."""
