"""The built-in plugins that are neither models nor data sets: tasks, metrics, optimizers,
observers. One file a plugin; the hook in it says what it is."""
