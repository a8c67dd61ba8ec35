"""What a run tells: lines, logs, curves, boards."""
