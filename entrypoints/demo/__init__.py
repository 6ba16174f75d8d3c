"""The demonstration: the main job on real servers, real photographs and the real worker process."""
