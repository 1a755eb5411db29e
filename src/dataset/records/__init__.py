"""Data sets on disk: TFRecord and MindRecord files, their description and their index."""
