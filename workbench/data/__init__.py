"""Images and persons: data sets on disk, embedded synthetic scenes, augmentation, loading and drawing."""
