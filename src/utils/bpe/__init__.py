"""BPE codes and the two encoders that apply them: compiled C, and subword-nmt itself."""
