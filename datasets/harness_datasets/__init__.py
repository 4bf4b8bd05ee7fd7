"""The built-in data sets: one file a data set."""
