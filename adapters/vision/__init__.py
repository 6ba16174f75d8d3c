"""Vision: decoders, detectors, aligners and recognisers, and the pool of processes they run in."""
