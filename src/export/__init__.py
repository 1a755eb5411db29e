"""Export of trained models to other runtimes, one module a format; `registry` lists the formats."""
