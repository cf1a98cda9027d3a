"""Bad bytes: every file that minigan reads, damaged in every way that a seed can think of."""
