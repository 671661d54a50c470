"""The steps of the pipeline, each one short file. `picture` is what they hand on."""
