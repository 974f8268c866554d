"""Labels for answers, given by a model that the settings name."""
